// Runs the model's own probes and prints the result once a second.
#include <@name@.h>

#include "@name@_probes.h"

void setup() { Serial.begin(115200); }

void loop() {
  int probe = @name@_failed_probe();
  if (probe == 0) {
    Serial.println("@name@: every bit is as expected");
  } else {
    Serial.print("@name@: wrong @outputs@ for probe ");
    Serial.println(probe);
  }
  delay(1000);
}

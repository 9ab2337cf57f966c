"""Models of Keras 2 (Keras 2.2 to 2.15, tf.keras of TensorFlow 1 and 2, tf_keras), rebuilt in Keras 3.

Nothing of Keras 2 is needed. Its config is translated layer by layer, its hard_sigmoid is computed as it
was, and every weight is assigned by the name that the file gives it.
"""

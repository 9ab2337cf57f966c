"""`edge-rnn sweep`: searches for classifiers that are accurate, small and fast.

`spec` reads SPEC.toml with `search_space` and `spec_types`, `study` shares the trials among processes
with `sampler` and `liveness`, `trial` trains, converts and measures one configuration with `cost`,
`front` finds the trials that no other one beats, `report`, `front_files` and `picture`
show them, and `choose` looks at the test split.
"""

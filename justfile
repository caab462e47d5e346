# What has to pass before a change lands.
ci:
    .ci/run

# Quick: the library and its tests.
test:
    cargo test

# Each fuzz target for so many seconds.
fuzz seconds="60":
    .ci/fuzz {{seconds}}

# A list of any size: just list 2GiB list.csv
list size out:
    cargo run --release --example generate -- --size {{size}} --out {{out}}

# Stations and the whole way.
bench:
    cargo bench

# We and what people use instead, on the same file in turn.
peers:
    benches/peers/run

# The binary that is handed out: target/dist/listferry, below 20 MB.
dist:
    cargo build --profile dist --bin listferry
    ls -l target/dist/listferry

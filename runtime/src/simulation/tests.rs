mod bank;
mod determinism;
mod planted;

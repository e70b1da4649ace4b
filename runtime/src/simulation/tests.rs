mod alarms;
mod bank;
mod determinism;
mod planted;

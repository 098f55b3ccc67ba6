//! Who did it: the log has one line for each change, and the records keep who made the last one.

mod hung_up;
mod lines;
mod logged;
mod records;

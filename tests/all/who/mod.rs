//! Who did it: the log has one line for each change, and the records keep who made the last one.

mod lines;
mod records;

//! The C API, called from C. It needs gcc and clang.

mod calling;
mod cat;
mod header;
mod install;
mod layers;
mod links;
mod misuse;
mod options;
mod programs;
mod readme;
mod vectors;

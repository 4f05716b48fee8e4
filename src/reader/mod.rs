//! The core: decides what to read next and what it means. It knows no device and does no I/O.
//!
//! A driver asks it for the next step and performs that one device request. What each file decides:
//!
//! | file | |
//! |---|---|
//! | `open` | whether a device's first bytes are an image that can be read |
//! | `image_state` | an open image without its device: its header, its memory, its L1 entries |
//! | `extent_walk` | which guest bytes are stored alike, and where |
//! | `read` | how bytes get into the caller's buffer, run by run and image by image |
//! | `direct` | the same for the commonest read, in one step |
//! | `backing` | when a query of extents goes on in another image of a chain; the backing file's name |
//! | `table_cache` | which pieces of the tables stay in memory |
//! | `lent_memory` | how the lent memory is split |
//! | `compressed` | how compressed clusters are read ahead and inflated |
//! | `cipher` | how sectors are decrypted |
//! | `device_shape` | which blocks of the device hold some bytes of the file |
//! | `stop` | why the core stops |
//! | `failure` | the public error for it, with its offsets |

pub(crate) mod backing;
pub(crate) mod cipher;
#[cfg(feature = "deflate")]
mod compressed;
pub(crate) mod device_shape;
mod direct;
pub(crate) mod extent_walk;
mod failure;
pub(crate) mod image_state;
pub(crate) mod lent_memory;
pub(crate) mod open;
pub(crate) mod read;
pub(crate) mod stop;
mod table_cache;

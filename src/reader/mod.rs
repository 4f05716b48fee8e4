//! The core: decides what to read next, and decodes what was read. It knows no device and does no
//! I/O.
//!
//! # The loop of a driver
//!
//! A driver has the images of a chain, top first: for each a device, its memory, and its
//! [`ImageState`](image_state::ImageState). To perform a [`ChainRead`](read::ChainRead):
//!
//! - Call [`step`](read::ChainRead::step) with the state and the memory of the image whose number
//!   [`level`](read::ChainRead::level) returns. If there is no such image, the call fails with
//!   [`backing_required`](read::ChainRead::backing_required).
//! - If it returns a [`Request`](read::Step::Request), fill the whole buffer from the device, and
//!   begin again. The next step trusts the buffer, so if the device failed, call
//!   [`narrow`](read::ChainRead::narrow) first. If that returns `false`, the call fails with the
//!   device's error.
//! - If it returns [`ChangeImage`](read::Step::ChangeImage), begin again: `level` has changed. If
//!   it returns [`Done`](read::Step::Done), the caller's buffer is filled.
//! - If it returns a [`Stop`](stop::Stop), the call fails with [`error`](read::ChainRead::error).
//!   After a failure of any kind, call [`forget`](image_state::ImageState::forget) for every image.
//!
//! A driver may drop the read between any two steps, and need not clean up. It decides nothing: see
//! `perform` in `image/mod.rs` and in `aio/mod.rs`.
//!
//! An [`ExtentWalk`](extent_walk::ExtentWalk) has such a loop for one image. Call
//! [`begin_call`](image_state::ImageState::begin_call), and then
//! [`find`](extent_walk::ExtentWalk::find) until it succeeds. If it stops with `Miss`, fill what
//! [`pending_request`](image_state::ImageState::pending_request) returns and call
//! [`publish`](image_state::ImageState::publish). If the device failed, call
//! [`narrow`](image_state::ImageState::narrow) instead. If it returns `false`, the call fails with
//! the device's error, unless [`take_partial_extent`](extent_walk::ExtentWalk::take_partial_extent)
//! returns a part of the run.
//!
//! # What each file decides
//!
//! | file | |
//! |---|---|
//! | `open` | whether a device's first bytes are an image that can be read |
//! | `image_state` | an open image without its device: its header, the parts of its memory, its last L1 entry |
//! | `extent_walk` | how runs of guest bytes are stored |
//! | `read` | how bytes get into the caller's buffer, run by run |
//! | `bounce` | how a plain run is read: whole blocks directly, ragged ends through the bounce buffer |
//! | `down_and_up` | how a read goes down to the backing image for a hole, and back up |
//! | `direct` | a fast path: whole blocks of one plain cluster whose table words are cached |
//! | `backing_name` | where the backing file's name is |
//! | `storing_image` | which image of a chain stores some guest bytes |
//! | `table_cache` | which pieces of the tables stay in memory |
//! | `lent_memory` | how the memory is split |
//! | `compressed` | how compressed clusters are read ahead and inflated |
//! | `cipher` | how sectors are decrypted |
//! | `device_shape` | which blocks of the device hold some bytes of the file |
//! | `truncated_file` | what is read past the end of the file: zeros in salvage, an error otherwise |
//! | `stop` | why the core returns to its driver |
//! | `failure` | the public error for a stop, with its offsets |

mod backing_name;
mod bounce;
pub(crate) mod cipher;
#[cfg(feature = "deflate-small")]
mod compressed;
pub(crate) mod device_shape;
mod direct;
mod down_and_up;
pub(crate) mod extent_walk;
mod failure;
pub(crate) mod image_state;
pub(crate) mod lent_memory;
pub(crate) mod open;
pub(crate) mod read;
pub(crate) mod stop;
pub(crate) mod storing_image;
mod table_cache;
mod truncated_file;

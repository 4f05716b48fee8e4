//! Encrypted clusters: each 512-byte sector on its own, by AES-128-CBC or by what a board has for it.

use core::fmt;

use crate::offset::GuestOffset;
use crate::reader::stop::Stop;

/// log2 of a sector's bytes.
pub(crate) const SECTOR_SHIFT: u32 = 9;

/// Decrypts sectors: what a board with an engine of its own implements; see [`Image::set_cipher`].
///
/// The format's cipher (crypt method 1) is AES-128 in CBC mode over each sector on its own. The initialization vector is
/// the sector's number as a little-endian `u64`, and then eight zero bytes (QEMU calls that `plain64`). The key is the
/// first 16 bytes of the passphrase, padded with zero bytes.
///
/// [`Image::set_cipher`]: crate::Image::set_cipher
pub trait SectorCipher {
    /// Decrypts `sectors` in place: one or more sectors of 512 bytes, adjacent in the guest's disk. `first_sector` is the number
    /// of the first, its guest offset divided by 512; the numbers go up by 1.
    ///
    /// # Errors
    /// [`CipherFailed`] where the engine fails. The read then fails with [`Error::CipherFailed`](crate::Error::CipherFailed),
    /// and may be tried again.
    fn decrypt(&self, first_sector: u64, sectors: &mut [u8]) -> Result<(), CipherFailed>;
}

/// A [`SectorCipher`] could not decrypt. It says no more: an engine keeps its own error, if it has one.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct CipherFailed;

impl fmt::Display for CipherFailed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the cipher could not decrypt the sectors")
    }
}

impl core::error::Error for CipherFailed {}

/// What an image decrypts with.
#[derive(Default)]
pub(crate) enum Cipher<'m> {
    #[default]
    None,
    #[cfg(feature = "aes")]
    Aes(AesCipher),
    Lent(&'m dyn SectorCipher),
}

impl Cipher<'_> {
    pub(crate) const fn is_none(&self) -> bool {
        matches!(self, Self::None)
    }

    /// Decrypts whole sectors, the first of which holds the guest's byte at `offset`.
    pub(crate) fn decrypt(&self, offset: GuestOffset, sectors: &mut [u8]) -> Result<(), Stop> {
        let first_sector = offset.0.wrapping_shr(SECTOR_SHIFT);
        match self {
            Self::None => return Err(Stop::KeyRequired),
            #[cfg(feature = "aes")]
            Self::Aes(cipher) => cipher.decrypt(first_sector, sectors),
            Self::Lent(cipher) => cipher.decrypt(first_sector, sectors),
        }
        .map_err(|CipherFailed| Stop::CipherFailed)
    }
}

#[cfg(feature = "aes")]
pub use aes_cipher::{AesCipher, Key};

#[cfg(feature = "aes")]
mod aes_cipher {
    use core::fmt;

    use aes::Aes128Dec;
    use cipher::consts::U16;
    use cipher::{Array, BlockModeDecrypt, InnerIvInit, KeyInit};
    use zeroize::Zeroize;

    use super::{CipherFailed, SECTOR_SHIFT, SectorCipher};

    /// The key of an encrypted image.
    ///
    /// Dropping it wipes it. What is not wiped: the passphrase, which is the caller's; copies of the key or of the schedule
    /// that a move leaves on the stack, as [`Image::set_key`](crate::Image::set_key) and moving an image with a key do; and
    /// decrypted bytes of the disk in the lent memory, where ragged ends of reads bounce.
    ///
    /// ```
    /// # let file: &[u8] = include_bytes!("../../tests/data/encrypted.qcow");
    /// use qcow1::{Image, Key};
    ///
    /// let mut memory = [0; 4096];
    /// let mut image = Image::open(file, &mut memory)?;
    /// image.set_key(&Key::from_passphrase(b"passphrase"));
    /// image.read_at(0, &mut [0; 512])?;
    /// # Ok::<(), qcow1::Error<core::convert::Infallible>>(())
    /// ```
    #[derive(Clone, PartialEq, Eq)]
    pub struct Key([u8; 16]);

    impl Key {
        /// Makes the key that QEMU makes of a passphrase: its first 16 bytes, padded with zero bytes.
        ///
        /// QCOW1 has no key derivation, no salt and no key check: a wrong passphrase yields garbage, not an error.
        #[must_use]
        pub fn from_passphrase(passphrase: &[u8]) -> Self {
            let mut key = Self([0; 16]);
            for (to, from) in key.0.iter_mut().zip(passphrase) {
                *to = *from;
            }
            key
        }

        /// Makes a key of its 16 bytes.
        #[must_use]
        pub const fn from_bytes(bytes: [u8; 16]) -> Self {
            Self(bytes)
        }
    }

    impl Drop for Key {
        fn drop(&mut self) {
            self.0.zeroize();
        }
    }

    impl fmt::Debug for Key {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.debug_struct("Key").finish_non_exhaustive()
        }
    }

    /// The format's cipher in software, or by the processor's AES instructions where the build or the host has them.
    ///
    /// [`Image::set_key`](crate::Image::set_key) uses it. Dropping it wipes its key schedule; see [`Key`] for what is not wiped.
    pub struct AesCipher(Aes128Dec);

    impl AesCipher {
        /// Creates the cipher with this key.
        #[must_use]
        pub fn new(key: &Key) -> Self {
            // By reference: a copy of the key would stay on the stack.
            Self(Aes128Dec::new((&key.0).into()))
        }
    }

    impl SectorCipher for AesCipher {
        fn decrypt(&self, first_sector: u64, sectors: &mut [u8]) -> Result<(), CipherFailed> {
            let (blocks, _) = Array::<u8, U16>::slice_as_chunks_mut(sectors);
            let mut number = first_sector;
            // A sector is 2^9 bytes, and a block of AES 2^4.
            for sector in blocks.chunks_mut(1 << (SECTOR_SHIFT - 4)) {
                let mut iv = [0; 16];
                for (to, from) in iv.iter_mut().zip(number.to_le_bytes()) {
                    *to = from;
                }
                cbc::Decryptor::inner_iv_init(&self.0, &Array(iv)).decrypt_blocks(sector);
                // A range of numbers panics where it ends.
                number = number.wrapping_add(1);
            }
            Ok(())
        }
    }

    impl fmt::Debug for AesCipher {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.debug_struct("AesCipher").finish_non_exhaustive()
        }
    }
}

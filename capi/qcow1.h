/* qcow1: reads QCOW version 1 disk images, for bootloaders and unikernels.
 *
 * Made by cbindgen from the library's source: do not edit. README.md shows how to use it.
 *
 * Ownership. The caller owns all storage: a qcow1_disk, the memory lent to each image, and what `ctx` points to. The
 * library allocates nothing and keeps no other pointers. It has no global state, with one exception: under an operating system,
 * it stores whether the processor has instructions for AES.
 *
 * Lifetimes. Memory and `ctx` must stay valid from qcow1_open() or qcow1_push() until qcow1_close(), or until the disk is
 * no longer used: closing frees nothing, it only wipes keys. The caller must not read or write memory while it is lent. The
 * image must not change while it is open, since tables are cached. Every other argument is used only during the call, and
 * must overlap neither the disk nor lent memory.
 *
 * Alignment. A qcow1_disk is aligned to QCOW1_DISK_ALIGN bytes, as its type demands. Memory and buffers may have any alignment.
 *
 * ABI. Programs run with each later library of the same soname. README.md lists what never changes within a soname.
 *
 * Threads. One call at a time for each disk, qcow1_size() included; different disks are independent. A read callback must
 * not call the library for the disk that it reads for. A call blocks only in the callback.
 *
 * Units. Sizes, lengths and offsets are in bytes; only `lba` is in blocks of the device.
 *
 * Errors. 0 is success, a negative number a qcow1_error, a positive number what the read callback has returned. */


#ifndef QCOW1_H
#define QCOW1_H

#include <stddef.h>
#include <stdint.h>
#ifdef _MSC_VER
#define QCOW1_ALIGNED(bytes) __declspec(align(bytes))
#else
#define QCOW1_ALIGNED(bytes) __attribute__((aligned(bytes)))
#endif

/* The calling convention of this library: that of the target's C ABI. Code that is compiled with another one defines it before
 * it includes this header: __attribute__((cdecl, regparm(0))) with GCC's -mregparm or -mrtd, __cdecl with MSVC's /Gr or /Gz. */
#ifndef QCOW1_CALL
#define QCOW1_CALL
#endif

/**
 * The version of this header, major.minor.patch: first part.
 */
#define QCOW1_VERSION_MAJOR 0

/**
 * The version of this header: second part.
 */
#define QCOW1_VERSION_MINOR 1

/**
 * The version of this header: third part.
 */
#define QCOW1_VERSION_PATCH 0

/**
 * The image is a raw disk and is never probed. Pass it only if the user says so. Cannot be
 * combined with other flags.
 */
#define QCOW1_RAW 1

/**
 * Bytes past the end of the file, tables included, read as zeros, as QEMU reads them. Without it
 * they are an error.
 */
#define QCOW1_SALVAGE 2

/**
 * A disk that does not begin with QCOW's magic number, or that has fewer than 8 bytes, is opened as
 * a raw disk. So its first bytes choose its format: pass this flag only on a machine whose owner
 * wrote its disks, and that opens no file that an image names.
 */
#define QCOW1_OR_RAW 4

/**
 * The value of an offset that an error does not have.
 */
#define QCOW1_UNKNOWN 18446744073709551615ull

/**
 * The size of a qcow1_disk in bytes, on each target and with any features of the library.
 */
#define QCOW1_DISK_SIZE 2560

/**
 * The alignment of a qcow1_disk in bytes.
 */
#define QCOW1_DISK_ALIGN 16

/**
 * The maximum number of images of a disk: the top one and those below it.
 */
#define QCOW1_MAX_IMAGES 4

/**
 * The negative results of calls; 0 is success. A positive result comes from the read callback.
 *
 * After an error a disk is as usable as before. Only qcow1_open() leaves it without images.
 */
typedef enum {
  /**
   * The file does not begin with QCOW's magic number.
   */
  QCOW1_ERROR_NOT_QCOW = -1,
  /**
   * The file is QCOW of a version other than 1, which qcow1_last_failure() returns. qemu-img
   * calls versions 2 and 3 qcow2.
   */
  QCOW1_ERROR_UNSUPPORTED_VERSION = -2,
  /**
   * The image is encrypted by a method other than AES, which qcow1_last_failure() returns.
   */
  QCOW1_ERROR_UNSUPPORTED_ENCRYPTION = -3,
  /**
   * The cluster is compressed, and the library was built without the feature deflate.
   */
  QCOW1_ERROR_UNSUPPORTED_COMPRESSION = -4,
  /**
   * The library was built without the feature aes.
   */
  QCOW1_ERROR_UNSUPPORTED_AES = -5,
  /**
   * The header contradicts the format.
   */
  QCOW1_ERROR_CORRUPT_HEADER = -6,
  /**
   * The backing file's name is too long, or reaches past the end of the file.
   */
  QCOW1_ERROR_CORRUPT_BACKING_NAME = -7,
  /**
   * The L1 table reaches past the end of the file, or a word in it is invalid.
   */
  QCOW1_ERROR_CORRUPT_L1_TABLE = -8,
  /**
   * An L2 table reaches past the end of the file.
   */
  QCOW1_ERROR_CORRUPT_L2_TABLE = -9,
  /**
   * A cluster reaches past the end of the file, or is not at a multiple of 512.
   */
  QCOW1_ERROR_CORRUPT_CLUSTER = -10,
  /**
   * A compressed cluster reaches past the end of the file, or cannot be inflated.
   */
  QCOW1_ERROR_CORRUPT_COMPRESSED_CLUSTER = -11,
  /**
   * The image is corrupt in a way that this API has no number for.
   */
  QCOW1_ERROR_CORRUPT_OTHERWISE = -12,
  /**
   * The bytes do not all lie inside the disk.
   */
  QCOW1_ERROR_OUT_OF_RANGE = -13,
  /**
   * The memory or the buffer is too small. qcow1_last_failure() returns the bytes needed.
   */
  QCOW1_ERROR_MEMORY_TOO_SMALL = -14,
  /**
   * The bytes lie in a hole of an image that names a backing file, which was not pushed.
   */
  QCOW1_ERROR_BACKING_REQUIRED = -15,
  /**
   * The bytes are encrypted, and the image has no passphrase.
   */
  QCOW1_ERROR_KEY_REQUIRED = -16,
  /**
   * The disk already has QCOW1_MAX_IMAGES images.
   */
  QCOW1_ERROR_CHAIN_FULL = -17,
  /**
   * The image above is raw or names no backing file, so nothing would be read from this one.
   */
  QCOW1_ERROR_NO_BACKING_NAMED = -18,
  /**
   * The library failed in a way that this API has no number for.
   */
  QCOW1_ERROR_OTHERWISE = -19,
  /**
   * The file or the device has 0 bytes.
   */
  QCOW1_ERROR_EMPTY = -20,
  /**
   * A pointer is null.
   */
  QCOW1_ERROR_NULL_POINTER = -21,
  /**
   * A pointer is not aligned as its type requires. A qcow1_disk requires QCOW1_DISK_ALIGN bytes.
   */
  QCOW1_ERROR_MISALIGNED = -22,
  /**
   * A length reaches past the end of the address space.
   */
  QCOW1_ERROR_TOO_LONG = -23,
  /**
   * The disk was never opened, was closed, could not be opened, or is a copy of one that was.
   */
  QCOW1_ERROR_NOT_OPEN = -24,
  /**
   * The disk is in use by the call that the read callback runs in.
   */
  QCOW1_ERROR_BUSY = -25,
  /**
   * The memory or the buffer overlaps memory that the disk uses.
   */
  QCOW1_ERROR_OVERLAP = -26,
  /**
   * The device is larger than 2^63 bytes.
   */
  QCOW1_ERROR_DEVICE_SIZE = -27,
  /**
   * The block size is not a power of two from 1 to 65536.
   */
  QCOW1_ERROR_BLOCK_SIZE = -28,
  /**
   * The device has no read callback.
   */
  QCOW1_ERROR_NO_READ_CALLBACK = -29,
  /**
   * A flag is unknown, or QCOW1_RAW is not alone.
   */
  QCOW1_ERROR_INVALID_FLAGS = -30,
  /**
   * The disk has no image at that level.
   */
  QCOW1_ERROR_NO_SUCH_IMAGE = -31,
  /**
   * The read callback returned a negative number. It may return 0 or a positive error of its
   * own.
   */
  QCOW1_ERROR_NEGATIVE_FROM_CALLBACK = -32,
} qcow1_error;

/**
 * How the bytes of an extent are stored.
 */
typedef enum {
  /**
   * In the image file, byte for byte, or encrypted.
   */
  QCOW1_EXTENT_KIND_DATA,
  /**
   * In the image file, compressed.
   */
  QCOW1_EXTENT_KIND_COMPRESSED,
  /**
   * Not stored: they read as zeros.
   */
  QCOW1_EXTENT_KIND_ZERO,
  /**
   * In the backing file that the lowest image names, which was not pushed.
   */
  QCOW1_EXTENT_KIND_BACKING,
} qcow1_extent_kind;

/**
 * The storage of a disk. Its bytes are the library's.
 *
 * The caller owns it: a static, a local, or allocated, of this type for its size and alignment. It
 * may hold anything before qcow1_open(). Every other call requires a disk in it, or zeros, for
 * which it returns QCOW1_ERROR_NOT_OPEN. A disk must not be copied or moved while it is open.
 */
typedef struct QCOW1_ALIGNED(16) {
  uint8_t bytes[QCOW1_DISK_SIZE];
} qcow1_disk;

/**
 * A device that holds an image: a callback, and the context that it gets.
 *
 * It is copied, so it need not live longer than the call. `ctx` is only passed to the callback.
 */
typedef struct {
  /**
   * Passed to each call of `read`. May be null.
   */
  void *ctx;
  /**
   * The size of the image file in bytes, if it is known, else of the device: at most 2^63. It
   * need not be a multiple of `block_size`: bytes of the last block past it are ignored.
   */
  uint64_t size;
  /**
   * The size of a block in bytes: a power of two from 1 to 65536. 1 means byte-addressable.
   */
  uint32_t block_size;
  /**
   * The maximum length of one call of `read` in bytes: the limit of a BIOS, a controller or a
   * virtio queue. It is rounded down to whole blocks, but is at least one block. 0 means no
   * limit.
   */
  uint32_t max_transfer;
  /**
   * Reads `len` bytes into `buf` from the block `lba` (in blocks). `len` is a whole number of
   * blocks, never 0, and at most `max_transfer` if that is not 0.
   *
   * Returns 0 if all of them were read, or else a positive number of the callback's own, which
   * the call of this library then returns. The last block may reach past `size`; no block after
   * it is read. `buf` may have any alignment. It must return: no longjmp(), no C++ exception. It
   * must not call this library for the same disk.
   */
  int (QCOW1_CALL *read)(void *ctx, uint64_t lba, void *buf, size_t len);
} qcow1_device;

/**
 * A run of bytes of the guest's disk that are stored in the same way.
 */
typedef struct {
  /**
   * The first byte of the run.
   */
  uint64_t start;
  /**
   * Its length in bytes, at least 1.
   */
  uint64_t len;
  /**
   * The offset of its first byte in the image file; QCOW1_UNKNOWN if it is not in a file.
   */
  uint64_t host_offset;
  /**
   * The length of the compressed stream in bytes; 0 for any other kind.
   */
  uint32_t stored_len;
  /**
   * The image that the run is stored in: 0 is the top one.
   */
  uint32_t level;
  /**
   * How it is stored: a qcow1_extent_kind. A number of fixed size, because compilers differ in
   * the size of an enum.
   */
  uint32_t kind;
} qcow1_extent_t;

/**
 * The memory to lend to an image, in bytes of any alignment.
 */
typedef struct {
  /**
   * Opens the image and reads its uncompressed bytes.
   */
  size_t minimum;
  /**
   * Reads compressed clusters too.
   */
  size_t compressed;
  /**
   * Reads compressed clusters two to five times as fast.
   */
  size_t compressed_fast;
  /**
   * Has room for all tables that can exist in the file. More gains little.
   */
  size_t all_tables;
} qcow1_memory_needs;

/**
 * The error of the last call that failed, and its place.
 *
 * An offset is QCOW1_UNKNOWN if the error has none.
 */
typedef struct {
  /**
   * The result of the call; 0 if none has failed since qcow1_open().
   */
  int error;
  /**
   * The version or the encryption method in the header if the error is
   * QCOW1_ERROR_UNSUPPORTED_VERSION or QCOW1_ERROR_UNSUPPORTED_ENCRYPTION, else 0.
   */
  uint32_t unsupported;
  /**
   * The bytes needed if the error is QCOW1_ERROR_MEMORY_TOO_SMALL, else 0. Calls that need less
   * succeed.
   */
  size_t needed;
  /**
   * The first byte of the guest's disk that the error concerns.
   */
  uint64_t guest_offset;
  /**
   * The byte of the image file that the error concerns.
   */
  uint64_t host_offset;
} qcow1_failure;

#ifdef __cplusplus
extern "C" {
#endif // __cplusplus

/**
 * Opens an image as the top one of `disk`. The storage may hold anything. A disk in it is wiped,
 * unless a call is under way for it.
 *
 * `memory` is lent until qcow1_close(), or until the disk is no longer used: `memory_size` bytes
 * of any alignment. max(512, block size) bytes open every image and read its uncompressed bytes. If
 * the block size is 1, 64 bytes are enough, unless the image is encrypted. qcow1_memory_needed()
 * returns how many are enough for everything. A raw disk needs one block; if its block size is 1,
 * `memory` may be null and `memory_size` 0.
 *
 * `flags` is 0, QCOW1_RAW, or any of QCOW1_SALVAGE and QCOW1_OR_RAW. `device` is copied.
 *
 * Returns 0, or an error. After any error but QCOW1_ERROR_BUSY the disk has no images. After any
 * error nothing is lent.
 */
int QCOW1_CALL qcow1_open(qcow1_disk *disk,
                          const qcow1_device *device,
                          void *memory,
                          size_t memory_size,
                          uint32_t flags);

/**
 * Opens the backing image of the lowest image of `disk`: holes are read from it. The rest is as
 * for qcow1_open().
 *
 * The image above must name a backing file. QCOW1 does not store the format of a backing file:
 * pass QCOW1_RAW if it is a raw disk. Never guess the format from its first bytes: a guest that
 * owns a raw disk can write a QCOW header into it, which names any file of the host.
 *
 * Returns 0, or an error. After an error the disk is as before, and nothing is lent.
 */
int QCOW1_CALL qcow1_push(qcow1_disk *disk,
                          const qcow1_device *device,
                          void *memory,
                          size_t memory_size,
                          uint32_t flags);

/**
 * Closes a disk: sets its storage to zeros, keys included. The memory is no longer lent.
 *
 * Returns 0 if qcow1_open() was called for the storage since it was last closed, even if that
 * failed; else QCOW1_ERROR_NOT_OPEN or another error of misuse.
 */
int QCOW1_CALL qcow1_close(qcow1_disk *disk);

/**
 * Sets the passphrase of an image, with which its encrypted clusters are decrypted. `level` is 0
 * for the top image, 1 for the one below it.
 *
 * QCOW1 uses the first 16 bytes and stores no key check: a wrong passphrase yields garbage, not an
 * error. An empty one is 16 bytes of zeros, as in QEMU.
 *
 * Returns 0, or an error: QCOW1_ERROR_UNSUPPORTED_AES from a library that was built without the
 * feature aes.
 */
int QCOW1_CALL qcow1_set_passphrase(qcow1_disk *disk,
                                    uint32_t level,
                                    const void *passphrase,
                                    size_t passphrase_len);

/**
 * Returns the size of the guest's disk in bytes: any number, not only multiples of 512; 0 if the
 * disk is not open.
 */
uint64_t QCOW1_CALL qcow1_size(const qcow1_disk *disk);

/**
 * Fills `dst` with `len` bytes of the guest's disk, starting at byte `offset`. Both may be any
 * number. If `len` is 0, `dst` may be null.
 *
 * Returns 0, or an error: QCOW1_ERROR_OUT_OF_RANGE if `offset` + `len` is larger than the disk.
 * After an error the contents of `dst` are unspecified, and the call may be repeated.
 */
int QCOW1_CALL qcow1_read(qcow1_disk *disk, uint64_t offset, void *dst, size_t len);

/**
 * Fills `dst` with `count` sectors of 512 bytes of the guest's disk, starting at sector `sector`.
 * Disk drivers make this call. If the size of the disk is not a multiple of 512, the rest of its
 * last sector is filled with zeros. No number wraps.
 *
 * Returns 0, or an error: QCOW1_ERROR_OUT_OF_RANGE if a sector does not lie inside the disk. The
 * rest is as for qcow1_read().
 */
int QCOW1_CALL qcow1_read_sectors(qcow1_disk *disk, uint64_t sector, uint64_t count, void *dst);

/**
 * Finds how the guest's bytes that start at `offset` are stored: one run of 1 to `max_len` bytes.
 *
 * It reads only tables: at most 4099 table words of each image. If it stops at this limit, the next
 * run may be of the same kind.
 *
 * Returns 0 and fills `extent`, or an error: QCOW1_ERROR_OUT_OF_RANGE if `offset` is past the end
 * of the disk, or `max_len` is 0.
 */
int QCOW1_CALL qcow1_extent(qcow1_disk *disk, uint64_t offset, uint64_t max_len, qcow1_extent_t *extent);

/**
 * Reads the name of the backing file of the lowest image: the file to open and push next.
 *
 * `buf` has room for `len` bytes; no name has more than 1023. If `len` is 0, `buf` may be null.
 * The name is not NUL-terminated, may contain NULs, and is untrusted: a path on the machine that
 * wrote it, relative to the image that names it.
 *
 * Returns 0 and sets `*name_len` to the length of the name in bytes, which is 0 if the image names
 * no file; or an error: QCOW1_ERROR_MEMORY_TOO_SMALL if the name is longer than `len`, with its
 * length as `needed` in qcow1_last_failure().
 */
int QCOW1_CALL qcow1_backing_name(qcow1_disk *disk, void *buf, size_t len, size_t *name_len);

/**
 * Sets `*needed` to the number of bytes of memory to lend to the image on `device`: enough to read
 * everything at full speed, compressed clusters too, and at most `cache` bytes more for tables. It
 * is at least 1.
 *
 * `flags` are those for qcow1_open() or qcow1_push(). The header is read with one call of
 * `device->read`, unless the disk is raw. If the blocks of the device are larger than 512 bytes,
 * nothing is read, and the memory is enough for any image. This call needs 512 bytes more stack
 * than others.
 *
 * Returns 0, or an error that opening the image would also return.
 */
int QCOW1_CALL qcow1_memory_needed(const qcow1_device *device, size_t cache, uint32_t flags, size_t *needed);

/**
 * Computes the memory for an image from the first 48 bytes of its file, the block size of its
 * device, and the size of the file, for choosing the size of static memory. qcow1_memory_needed()
 * returns one figure for a device.
 *
 * `file_size` limits `all_tables`. Returns 0 and fills `needs`, or the error of an invalid header.
 */
int QCOW1_CALL qcow1_memory_for(const void *first_48_bytes,
                                uint32_t block_size,
                                uint64_t file_size,
                                qcow1_memory_needs *needs);

/**
 * Copies the error of the last call that failed since qcow1_open(), with its offsets. A failed
 * qcow1_open() counts, QCOW1_ERROR_BUSY does not.
 *
 * Returns 0 and fills `failure`, or an error of misuse, which does not count.
 */
int QCOW1_CALL qcow1_last_failure(const qcow1_disk *disk, qcow1_failure *failure);

/**
 * Returns a sentence for the result of a call: a static string. For a positive number it only says
 * that the read callback failed.
 */
const char *QCOW1_CALL qcow1_message(int error);

/**
 * Returns the version of the library, such as "0.1.0": a static string. QCOW1_VERSION_MAJOR,
 * QCOW1_VERSION_MINOR and QCOW1_VERSION_PATCH are the header's version.
 */
const char *QCOW1_CALL qcow1_version(void);

#ifdef __cplusplus
}  // extern "C"
#endif  // __cplusplus

#endif  /* QCOW1_H */

/* All that the header declares, in what C99, C11 and C++17 share. */
#include "qcow1.h"

int QCOW1_CALL read_nothing(void *ctx, uint64_t lba, void *buf, size_t len);
int use_all(qcow1_disk *disk, void *memory);

int QCOW1_CALL read_nothing(void *ctx, uint64_t lba, void *buf, size_t len) {
    (void)ctx, (void)lba, (void)buf;
    return len == 0;
}

int use_all(qcow1_disk *disk, void *memory) {
    qcow1_device device;
    qcow1_memory_needs needs;
    qcow1_extent_t extent;
    qcow1_failure failure;
    size_t len;
    qcow1_error error = QCOW1_ERROR_NOT_QCOW;
    uint32_t kind = QCOW1_EXTENT_KIND_ZERO;
    device.ctx = NULL, device.size = QCOW1_UNKNOWN, device.block_size = 512, device.max_transfer = 0, device.read = read_nothing;
    return qcow1_version() == qcow1_message(error) || qcow1_memory_for(memory, 512, 48, &needs) ||
           qcow1_open(disk, &device, memory, needs.minimum, QCOW1_SALVAGE | QCOW1_OR_RAW) ||
           qcow1_push(disk, &device, memory, 512, QCOW1_RAW) || qcow1_set_passphrase(disk, 0, "", 1) ||
           qcow1_size(disk) == 0 || qcow1_read(disk, 0, memory, 1) ||
           qcow1_read_sectors(disk, 0, 1, memory) || qcow1_memory_needed(&device, 0, 0, &len) ||
           qcow1_extent(disk, 0, 1, &extent) ||
           extent.kind != kind || qcow1_backing_name(disk, memory, 1, &len) || qcow1_last_failure(disk, &failure) ||
           failure.error || qcow1_close(disk) || sizeof *disk != QCOW1_DISK_SIZE;
}

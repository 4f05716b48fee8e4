# Functions of run.sh, linux.sh and driver.sh, which read this file with `.`.
. "$(dirname "$0")/../firmware.sh"

# platform LOADER: sets the variables that differ between the machines of the UEFI targets. The path of the loader, which cargo
# has built, contains the target.
platform() {
    case $1 in
    *x86_64-unknown-uefi/*)
        target=x86_64-unknown-uefi
        boot_name=BOOTX64.EFI
        qemu='qemu-system-x86_64 -machine q35'
        find_firmware OVMF_CODE ovmf /usr/share/OVMF/OVMF_CODE_4M.fd /usr/share/edk2/x64/OVMF_CODE.4m.fd \
            /usr/share/edk2/ovmf/OVMF_CODE.fd
        ;;
    *aarch64-unknown-uefi/*)
        target=aarch64-unknown-uefi
        boot_name=BOOTAA64.EFI
        qemu='qemu-system-aarch64 -machine virt -cpu cortex-a57'
        find_firmware AAVMF_CODE qemu-efi-aarch64 /usr/share/AAVMF/AAVMF_CODE.fd \
            /usr/share/edk2/aarch64/QEMU_CODE.fd
        ;;
    *) fail "There is no machine for the loader $1." ;;
    esac
    case $1 in
    */release/*) profile=--release ;;
    *) profile= ;;
    esac
}

# find_firmware VARIABLE PACKAGE FILE...: finds the firmware's code, from the environment or in the distributions' places.
find_firmware() {
    eval "code=\${$1:-}"
    name=$1
    package=$2
    shift 2
    for candidate in "$@"; do
        [ -n "$code" ] || [ ! -f "$candidate" ] || code=$candidate
    done
    [ -n "$code" ] ||
        fail "The UEFI firmware is missing, so nothing was shown: install it (Debian: $package) or name its code in $name."
    variables=$(echo "$code" | sed 's/CODE/VARS/')
}

# files DISK PATH=SOURCE...: copies each SOURCE to PATH in the FAT volume of a disk, and makes the folders of PATH.
files() {
    disk=$1
    shift
    for file in "$@"; do
        folder=
        rest=${file%%=*}
        while [ "${rest#*/}" != "$rest" ]; do
            folder=$folder/${rest%%/*}
            rest=${rest#*/}
            mdir -i "$disk@@1M" "::$folder" >/dev/null 2>&1 || mmd -i "$disk@@1M" "::$folder"
        done
        mcopy -o -i "$disk@@1M" "${file#*=}" "::${file%%=*}"
    done
}

# volume FILE MIB [PATH=SOURCE...]: makes the disk from which the loader is started: a FAT volume with the loader and the files.
volume() {
    disk=$1
    fat_disk "$disk" "$2"
    shift 2
    files "$disk" "EFI/BOOT/$boot_name=$loader" "$@"
}

# machine NAME MEMORY VOLUME [DISK...]: boots a machine from the volume. Each DISK is a further disk, the first at the PCI address
# 0x5, the next at 0x6. The firmware's boot order has only the volume or, if `first` is its id (disk5 or disk6), one of the
# disks. The firmware's variables are a copy of the file $variables, and $more has more of QEMU's options. The console is NAME.log.
machine() {
    name=$1
    memory=$2
    esp=$3
    shift 3
    cp "$variables" "$name-variables.fd"
    disks=
    slot=5
    for disk in "$@"; do
        disks="$disks -drive if=none,id=disk$slot,format=raw,readonly=on,file=$disk
            -device virtio-blk-pci,drive=disk$slot,addr=0x$slot"
        [ "${first:-esp}" != disk$slot ] || disks=$disks,bootindex=0
        slot=$((slot + 1))
    done
    volume="virtio-blk-pci,drive=esp"
    [ "${first:-esp}" != esp ] || volume=$volume,bootindex=0
    # shellcheck disable=SC2086
    boot "$name.log" 0 $qemu -m "$memory" -display none -serial stdio -monitor none -net none -no-reboot \
        -drive if=pflash,format=raw,readonly=on,file="$code" \
        -drive if=pflash,format=raw,file="$name-variables.fd" \
        -drive if=none,id=esp,format=raw,file="$esp" -device $volume $disks ${more:-}
    KEYBOARD=
    # Without the control sequences of a terminal.
    sed -i 's/\x1b\[[=0-9;?]*[A-Za-z]//g; s/\r//g' "$name.log"
}

# has NAME CONSOLE LINE...: fails unless the console has each line.
has() {
    name=$1
    log=$2
    shift 2
    for line in "$@"; do
        grep -aqF -e "$line" "$log" || {
            cat "$log" >&2
            fail "uefi, $name: the console, which is above, does not say '$line'."
        }
    done
}

# said NAME CONSOLE LINE...: fails unless the console has each line; prints the interesting lines, each once.
said() {
    has "$@"
    echo "uefi: $1"
    grep -aE '^(loader|qcow1|trial|inner|linux|shell): ' "$2" | awk '!said[$0]++'
}

# await_line CONSOLE PATTERN COUNT: waits until COUNT lines of the console match.
await_line() {
    turns=0
    # Bound: 3 minutes.
    until [ "$(grep -ac -e "$2" "$1")" -ge "$3" ] || [ $turns -ge 900 ]; do
        sleep 0.2
        turns=$((turns + 1))
    done
}

# typing NAME PROMPT LINE...: makes a keyboard for the next machine, NAME, that types each line when the prompt is printed again.
typing() {
    log=$1.log
    KEYBOARD=$1.keys
    prompt=$2
    shift 2
    rm -f "$KEYBOARD"
    mkfifo "$KEYBOARD"
    : >"$log"
    (
        asked=0
        for line in "$@"; do
            asked=$((asked + 1))
            await_line "$log" "$prompt" $asked
            printf '%s\r' "$line"
        done
    ) >"$KEYBOARD" &
}

# monitored NAME PROMPT COMMAND: gives the next machine, NAME, a monitor of QEMU, by options in $more. The monitor gets the command
# when the prompt is printed.
monitored() {
    rm -f "$1.in" "$1.out"
    mkfifo "$1.in" "$1.out"
    : >"$1.log"
    # QEMU waits for both ends of its monitor.
    cat "$1.out" >"$1.monitor" &
    (
        await_line "$1.log" "$2" 1
        printf '%s\n' "$3"
    ) >"$1.in" &
    more="-chardev pipe,id=monitor,path=$1 -mon chardev=monitor"
}

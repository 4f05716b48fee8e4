# The frames of a linked program's functions, and the deepest stack below each public call.
#
# In, one after the other: the frames that the compiler reports (`llvm-readobj --stack-sizes`), the pointers of the root
# (`llvm-objdump -s -j .entry.api`, Arm's byte order), and the disassembly (`llvm-objdump -d --no-show-raw-insn`). Nothing
# is recursive, and the only indirect calls are to the device's driver and the caller's closures, whose stack is
# theirs; so the deepest path through the calls is the most that can ever be used.

function hex(digits,    i, n) {
    for (i = 1; i <= length(digits); i++) n = n * 16 + index("123456789abcdef", substr(digits, i, 1))
    return n
}

# The registers in a list such as {r4, r5, r7, lr}, of so many bytes each.
function registers(list, size) {
    return size * (gsub(/,/, ",", list) + 1)
}

function deepest(name,    i, n, callees, below, depth) {
    if (name in memo) return memo[name]
    if (name in active) { print "recursion: " name > "/dev/stderr"; exit_code = 1; return 0 }
    active[name]
    n = split(calls[name], callees, " ")
    for (i = 1; i <= n; i++) {
        depth = deepest(callees[i])
        if (depth > below) { below = depth; via[name] = callees[i] }
    }
    delete active[name]
    return memo[name] = frame(name) + below
}

# compiler_builtins is not compiled with the option that reports frames: its functions' prologues are read instead.
function frame(name) {
    return name in reported ? reported[name] : prologue[name] + 0
}

/Functions: \[/ { match($0, /\[.*\]/); name = substr($0, RSTART + 1, RLENGTH - 2); next }
/Size: 0x/ { sub(/.*0x/, ""); reported[name] = hex(tolower($0)); next }

/^Contents of section \.entry\.api:?$/ { in_root = 1; next }
in_root && /^ [0-9a-f]+ / {
    for (i = 2; i <= 5 && length($i) == 8; i++) {
        w = $i
        roots[++root_count] = hex(substr(w, 7, 2) substr(w, 5, 2) substr(w, 3, 2) substr(w, 1, 2))
    }
    next
}
/^Disassembly/ { in_root = 0 }

/^[0-9a-f]+ <.*>:$/ {
    current = $2
    gsub(/[<>:]/, "", current)
    at[hex($1)] = current
    next
}
/\tpush(\.w)?\t/ { match($0, /\{.*\}/); prologue[current] += registers(substr($0, RSTART, RLENGTH), 4) }
/\tvpush\t/ { match($0, /\{.*\}/); prologue[current] += registers(substr($0, RSTART, RLENGTH), 8) }
/\tsub(\.w|w)?\tsp, (sp, )?#[0-9]+/ { sub(/.*#/, ""); prologue[current] += $0 }
/\tstr(\.w)?\tr[0-9]+, \[sp, #-[0-9]+\]!/ { sub(/.*#-/, ""); prologue[current] += $0 + 0 }
/\tbl?(\.w)?\t0x[0-9a-f]+ <[^+>]*>/ {
    match($0, /<[^+>]*>/)
    callee = substr($0, RSTART + 1, RLENGTH - 2)
    if (callee != current && index(" " calls[current] " ", " " callee " ") == 0) calls[current] = calls[current] " " callee
}

END {
    for (i = 1; i <= root_count; i++) {
        # Thumb functions have odd addresses; other words of the root are no functions.
        name = at[roots[i] - 1]
        if (name == "" || name in listed) continue
        listed[name]
        depth = deepest(name)
        path = frame(name)
        for (step = via[name]; step != ""; step = via[step]) path = path " + " frame(step)
        printf "%d\t%s\t%s\n", depth, path, name
    }
    exit exit_code
}

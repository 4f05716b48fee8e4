# Prints the deepest stack below each public call of a linked program: its bytes, the frames that add up to it, the
# call's name, and the functions whose frames they are.
#
# In, one after the other: the frames that the compiler reports (`llvm-readobj --stack-sizes`), the pointers of the root
# (`llvm-objdump -s -j .entry.api` or `.entry.reader`, Arm's byte order), and the disassembly (`llvm-objdump -d
# --no-show-raw-insn`). Nothing is recursive, and the only indirect calls are to the device's driver and the caller's
# closures, whose stack is theirs; so the deepest path through the calls is the most that can ever be used.

function hex(digits,    i, n) {
    for (i = 1; i <= length(digits); i++) n = n * 16 + index("123456789abcdef", substr(digits, i, 1))
    return n
}

# Returns the bytes of the registers in a list such as {r4, r5, r7, lr}. `size` is the size of a register.
function registers(list, size) {
    return size * (gsub(/,/, ",", list) + 1)
}

# The bytes of the deepest stack below a function, itself included. A jump's target inside a function is no call.
function deepest(name,    i, n, callees, callee, below, depth) {
    if (name in memo) return memo[name]
    if (name in active) { print "recursion: " name > "/dev/stderr"; exit_code = 1; return 0 }
    active[name]
    n = split(targets[name], callees, " ")
    for (i = 1; i <= n; i++) {
        callee = at[callees[i]]
        if (callee == "" || callee == name) continue
        depth = deepest(callee)
        if (depth > below) { below = depth; via[name] = callee }
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

/^Contents of section \.entry\.(api|reader):?$/ { in_root = 1; next }
in_root && /^ [0-9a-f]+ / {
    for (i = 2; i <= 5 && length($i) == 8; i++) {
        w = $i
        roots[++root_count] = hex(substr(w, 7, 2) substr(w, 5, 2) substr(w, 3, 2) substr(w, 1, 2))
    }
    next
}
/^Disassembly/ { in_root = 0 }

# `$t` and `$d` mark where code and constants begin, such as before and after a jump table: inside a function.
/^[0-9a-f]+ <\$.*>:$/ { next }
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
# Calls and jumps, conditional ones too. A target is an address, since beside a mark it is shown by the mark's name.
/\tb[a-z]*(\.[nw])?\t0x[0-9a-f]+ </ {
    match($0, /\t0x[0-9a-f]+ /)
    target = hex(substr($0, RSTART + 3, RLENGTH - 4))
    if (index(" " targets[current] " ", " " target " ") == 0) targets[current] = targets[current] " " target
}

END {
    for (i = 1; i <= root_count; i++) {
        # Thumb functions have odd addresses; other words of the root are no functions.
        name = at[roots[i] - 1]
        if (name == "" || name in listed) continue
        listed[name]
        depth = deepest(name)
        frames = frame(name)
        path = "`" name "`"
        for (step = via[name]; step != ""; step = via[step]) {
            frames = frames " + " frame(step)
            path = path ", `" step "`"
        }
        printf "%d\t%s\t%s\t%s\n", depth, frames, name, path
    }
    exit exit_code
}

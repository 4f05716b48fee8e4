# Which compiler the budgets hold for. prove.sh and run.sh read this file with `.`, after firmware.sh.

# compiler TARGET: prints the compiler that bare_cargo takes for a target, and where its `core` comes from.
compiler() {
    if [ -d "$(rustc --print sysroot)/lib/rustlib/$1/lib" ]; then
        echo "$(rustc --version | cut -d ' ' -f 1,2) with its ready-made core"
    else
        echo "$(/usr/bin/rustc --version | cut -d ' ' -f 1,2) with a core built for size"
    fi
}

# held_for BUDGETS: prints the compiler that the budgets of a file hold for.
held_for() {
    sed -n 's/^# compiler: //p' "$1"
}

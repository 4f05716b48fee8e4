#!/bin/sh
# Tests stack.awk with a generated program: calls after a jump table count, and so do conditional jumps to other functions. A jump
# inside a function, also to a label, is not a call.
cd "$(dirname "$0")"
. ../firmware.sh

tab=$(printf '\t')
found=$(sed "s/ *@/$tab/g" <<'END' | awk -f stack.awk
Function {
  Functions: [root]
  Size: 0x28
}
Function {
  Functions: [table]
  Size: 0x64
}
Function {
  Functions: [leaf]
  Size: 0x8
}
Contents of section .entry.api:
 30000 01000200 0a000000  ........
Disassembly of section .text:

00020000 <root>:
   20000: @bl @0x20020 <leaf> @ imm = #28
   20004: @beq.w @0x20010 <table> @ imm = #8

00020010 <table>:
   20010: @tbb @[pc, r0]

00020014 <$d>:
   20014: 02 03 00 00 @.word @0x00000302

00020018 <$t.1>:
   20018: @bl @0x20030 <$t.2> @ imm = #20
   2001c: @b @0x20018 <$t.1> @ imm = #-8
   2001e: @b @0x20010 <table> @ imm = #-18

00020020 <leaf>:
   20020: @bne @0x20022 <leaf+0x2> @ imm = #-2
   20022: @bx @lr

00020030 <library>:
   20030: @push @{r4, r5, r7, lr}
   20032: @sub @sp, #12
   20034: @bl @0x20020 <leaf> @ imm = #-24
END
)
# The library's function reports no frame: four registers and twelve bytes, and a leaf of eight below them.
expected="176${tab}40 + 100 + 28 + 8${tab}root${tab}\`root\`, \`table\`, \`library\`, \`leaf\`"
[ "$found" = "$expected" ] || fail "stack.awk: expected '$expected', found '$found'."

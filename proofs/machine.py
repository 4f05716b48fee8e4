"""Runs an exported function of the harness along every path of its machine code, on words that
stand for all values.
"""

import logging

logging.disable(logging.CRITICAL)

import angr
import claripy
import unicorn
from angr.engines.vex.claripy import ccall
from unicorn import arm_const, x86_const

INPUT, OUTPUT, STACK, RETURN = 0x2070_0000, 0x2071_0000, 0x2080_0000, 0x2090_0000
WORDS = 16
PAGE = 0x1000

# No access outside mapped pages passes, and nothing is unknown but the chosen words.
OPTIONS = {
    angr.options.STRICT_PAGE_ACCESS,
    angr.options.ZERO_FILL_UNCONSTRAINED_MEMORY,
    angr.options.ZERO_FILL_UNCONSTRAINED_REGISTERS,
}


class Unproved(Exception):
    """Something that a proof needs does not hold."""


def multiplication_flags(_state, bits, a, b, _, platform=None):
    """Returns the flags of x86's `mul`. Those of angr 9.2.213 come from the lower half of the
    product: its carry is the sign.
    """
    product = a.zero_extend(bits) * b.zero_extend(bits)
    low, high = product[bits - 1 : 0], product[2 * bits - 1 : bits]
    carry = claripy.If(high != 0, claripy.BVV(1, 1), claripy.BVV(0, 1))
    parity, zero = ccall.calc_paritybit(low), ccall.calc_zerobit(low)
    size = ccall.data[platform]["size"]
    return ccall.pc_make_rdata(
        size, carry, parity, claripy.BVV(0, 1), zero, low[bits - 1], carry, platform=platform
    )


ccall.pc_actions_UMUL = multiplication_flags


class Path:
    """A path that returns: its conditions, and the words that it returned."""

    def __init__(self, state):
        self.conditions = list(state.solver.constraints)
        self.words = [
            state.memory.load(OUTPUT + 8 * index, 8, endness="Iend_LE") for index in range(WORDS)
        ]


class Machine:
    """The harness's code for one processor."""

    def __init__(self, name, elf):
        self.name = name
        self.project = angr.Project(elf, auto_load_libs=False)
        self.bits = self.project.arch.bits
        self.is_arm = int(self.project.arch.name.startswith("ARM"))

    def function(self, name):
        """Returns the address of an exported function, or of the only one with `name` in its
        mangled name. A method's `name` is mangled too.
        """
        symbols = {
            s.rebased_addr: s for s in self.project.loader.main_object.symbols if s.is_function
        }
        exact = [s for s in symbols.values() if s.name == name]
        mangled = name if name[0].isdigit() else f"{len(name)}{name}"
        found = exact or [s for s in symbols.values() if mangled in s.name]
        if len(found) != 1:
            raise Unproved(f"{self.name}: there are {len(found)} functions {name}")
        return found[0].rebased_addr | self.is_arm, found[0].size

    def run(self, name, words, tail=(), given=(), results=None):
        """Returns the paths of a function from the words, followed by the bytes of `tail`, under
        the conditions `given`.

        `results` gives the result of an inner function a name. The paths use the name. A list is
        returned too, of the result that it stands for and the conditions there.
        """
        address, _ = self.function(name)
        state = self.project.factory.call_state(address, INPUT, OUTPUT, add_options=OPTIONS)
        for page in (INPUT, OUTPUT):
            state.memory.map_region(page, PAGE, 3)
        for index, word in enumerate(words):
            state.memory.store(INPUT + 8 * index, word, endness="Iend_LE")
        for index, byte in enumerate(tail):
            state.memory.store(INPUT + 8 * len(words) + index, byte)
        for index in range(WORDS):
            state.memory.store(OUTPUT + 8 * index, claripy.BVV(0, 64), endness="Iend_LE")
        state.add_constraints(*given)
        named = []
        for function, variable in (results or {}).items():
            self.name_result(state, function, variable, named)
        manager = self.project.factory.simulation_manager(state)
        manager.run()
        returned = self.returned(manager, name)
        if results and not named:
            raise Unproved(f"{self.name}: {name} does not call {list(results)}")
        paths = [Path(state) for state in returned]
        return paths, named

    def returned(self, manager, name):
        """Returns the states at the end of the paths, if all paths return."""
        end = self.project.simos.return_deadend & ~1
        returned = [state for state in manager.deadended if state.addr & ~1 == end]
        others = {
            key: states
            for key, states in manager.stashes.items()
            if states and key not in ("deadended", "unsat")
        }
        if others or manager.errored or len(returned) != len(manager.deadended) or not returned:
            raise Unproved(
                f"{self.name}: {name}: paths that do not return: {others} {manager.errored} {manager.deadended}"
            )
        return returned

    def name_result(self, state, function, variable, named):
        address, size = self.function(function)
        start = address - self.is_arm
        code = self.project.loader.memory.load(start, size)
        capstone = self.project.arch.capstone_thumb if self.is_arm else self.project.arch.capstone
        for instruction in capstone.disasm(code, start):
            text = f"{instruction.mnemonic} {instruction.op_str}"
            if (
                text.startswith("ret")
                or text == "bx lr"
                or (text.startswith("pop") and "pc" in text)
            ):

                def rename(state):
                    regs = state.regs
                    result = claripy.Concat(regs.r1, regs.r0) if self.is_arm else regs.rax
                    named.append((list(state.solver.constraints), result))
                    if self.is_arm:
                        regs.r0, regs.r1 = variable[31:0], variable[63:32]
                    else:
                        regs.rax = variable

                at = instruction.address | self.is_arm
                state.inspect.b("instruction", when=angr.BP_BEFORE, instruction=at, action=rename)

    def emulate(self, name, words, tail=()):
        """Returns the words that QEMU's processor returns for numbers."""
        return self.emulated(self.processor(name, words, tail))

    def processor(self, name, words, tail=()):
        """Returns QEMU's processor before it calls a function, and the function's address."""
        if self.is_arm:
            cpu = unicorn.Uc(unicorn.UC_ARCH_ARM, unicorn.UC_MODE_THUMB | unicorn.UC_MODE_MCLASS)
            stack, first, second = (
                arm_const.UC_ARM_REG_SP,
                arm_const.UC_ARM_REG_R0,
                arm_const.UC_ARM_REG_R1,
            )
        else:
            cpu = unicorn.Uc(unicorn.UC_ARCH_X86, unicorn.UC_MODE_64)
            stack, first, second = (
                x86_const.UC_X86_REG_RSP,
                x86_const.UC_X86_REG_RDI,
                x86_const.UC_X86_REG_RSI,
            )
        address, _ = self.function(name)
        code = self.project.loader.main_object
        start = code.min_addr & ~(PAGE - 1)
        cpu.mem_map(start, (code.max_addr - start + 2 * PAGE) & ~(PAGE - 1))
        for segment in code.segments:
            cpu.mem_write(
                segment.vaddr, self.project.loader.memory.load(segment.vaddr, segment.memsize)
            )
        for page in (INPUT, OUTPUT, RETURN):
            cpu.mem_map(page, PAGE)
        cpu.mem_map(STACK, 16 * PAGE)
        top = STACK + 8 * PAGE
        if self.is_arm:
            cpu.reg_write(arm_const.UC_ARM_REG_LR, RETURN | 1)
        else:
            top -= 8
            cpu.mem_write(top, RETURN.to_bytes(8, "little"))
        cpu.mem_write(INPUT, b"".join(word.to_bytes(8, "little") for word in words) + bytes(tail))
        cpu.reg_write(stack, top)
        cpu.reg_write(first, INPUT)
        cpu.reg_write(second, OUTPUT)
        return cpu, address

    def emulated(self, cpu_and_address):
        """Runs a processor, and returns the words that the function returned."""
        cpu, address = cpu_and_address
        cpu.emu_start(address, RETURN, count=1_000_000)
        output = cpu.mem_read(OUTPUT, 8 * WORDS)
        return [int.from_bytes(output[8 * i : 8 * i + 8], "little") for i in range(WORDS)]

    def emulate_with_device(self, name, words, buffers, block_bits, device):
        """Returns the words that QEMU's processor returns. `buffers` are the addresses and the sizes of
        lent memory; `device` has the bytes of the device by their places, if they are not zeros.
        """
        cpu, address = self.processor(name, words)
        for start, size in buffers:
            cpu.mem_map(start, (size + PAGE - 1) & ~(PAGE - 1))

        def read(cpu, *_):
            if self.is_arm:
                regs = (arm_const.UC_ARM_REG_R0, arm_const.UC_ARM_REG_R1)
                low, high = map(cpu.reg_read, regs)
                lba = high << 32 | low
                buffer = cpu.reg_read(arm_const.UC_ARM_REG_R2)
                length = cpu.reg_read(arm_const.UC_ARM_REG_R3)
                cpu.reg_write(arm_const.UC_ARM_REG_R0, 0)
            else:
                lba = cpu.reg_read(x86_const.UC_X86_REG_RDI)
                buffer = cpu.reg_read(x86_const.UC_X86_REG_RSI)
                length = cpu.reg_read(x86_const.UC_X86_REG_RDX)
                cpu.reg_write(x86_const.UC_X86_REG_RAX, 0)
            places = range(lba << block_bits, (lba << block_bits) + length)
            cpu.mem_write(buffer, bytes(device.get(place % 2**64, 0) for place in places))

        at, _ = self.function("device_read")
        at &= ~self.is_arm
        cpu.hook_add(unicorn.UC_HOOK_CODE, read, begin=at, end=at)
        return self.emulated((cpu, address))

#include "textflag.h"

// Numbers are multiplied in groups of eight words, so that the columns of a group
// stay in registers.
//
// Registers: R8 to R15 accumulate eight columns, DX is the factor of a row, SI
// points to what it multiplies, CX to the factors, DI to the lowest column. BP
// is zero. On the stack are 64 columns, eight multiples of n, and the rest.
#define COLUMNS SP
#define MULTIPLES 512(SP)
#define MIDDLE 576(SP)
#define TOP 584(SP)
#define ROUNDS 592(SP)
#define TURNS 600(SP)
#define GROUPS 608(SP)
#define LOWEST 616(SP)

// TERM adds one product, its low half with the carry of CF, its high half with
// that of OF.
#define TERM(off, low, high) \
	MULXQ off(SI), AX, BX \
	ADCXQ AX, low         \
	ADOXQ BX, high

// REST adds the products of a row but the first. The lowest column is done with,
// its register takes the next beyond the highest.
#define REST(r0, r1, r2, r3, r4, r5, r6, r7) \
	TERM(8, r1, r2)       \
	TERM(16, r2, r3)      \
	TERM(24, r3, r4)      \
	TERM(32, r4, r5)      \
	TERM(40, r5, r6)      \
	TERM(48, r6, r7)      \
	MULXQ 56(SI), AX, r0  \
	ADCXQ AX, r7          \
	ADCXQ BP, r0          \
	ADOXQ BP, r0

// ROW adds eight words times the factor at off, and stores the lowest column.
#define ROW(off, out, r0, r1, r2, r3, r4, r5, r6, r7) \
	MOVQ off(CX), DX      \
	XORQ AX, AX           \
	TERM(0, r0, r1)       \
	MOVQ r0, out(DI)      \
	REST(r0, r1, r2, r3, r4, r5, r6, r7)

// CLEAR adds the multiple of the modulus that makes the lowest column zero, and
// stores by what the modulus was multiplied.
#define CLEAR(off, r0, r1, r2, r3, r4, r5, r6, r7) \
	MOVQ  r0, DX          \
	IMULQ inverse+32(FP), DX \
	MOVQ  DX, off(CX)     \
	XORQ  AX, AX          \
	TERM(0, r0, r1)       \
	REST(r0, r1, r2, r3, r4, r5, r6, r7)

// ROWS is eight rows.
#define ROWS \
	ROW(0, 0, R8, R9, R10, R11, R12, R13, R14, R15)   \
	ROW(8, 8, R9, R10, R11, R12, R13, R14, R15, R8)   \
	ROW(16, 16, R10, R11, R12, R13, R14, R15, R8, R9) \
	ROW(24, 24, R11, R12, R13, R14, R15, R8, R9, R10) \
	ROW(32, 32, R12, R13, R14, R15, R8, R9, R10, R11) \
	ROW(40, 40, R13, R14, R15, R8, R9, R10, R11, R12) \
	ROW(48, 48, R14, R15, R8, R9, R10, R11, R12, R13) \
	ROW(56, 56, R15, R8, R9, R10, R11, R12, R13, R14)

#define CLEARS \
	CLEAR(0, R8, R9, R10, R11, R12, R13, R14, R15)  \
	CLEAR(8, R9, R10, R11, R12, R13, R14, R15, R8)  \
	CLEAR(16, R10, R11, R12, R13, R14, R15, R8, R9) \
	CLEAR(24, R11, R12, R13, R14, R15, R8, R9, R10) \
	CLEAR(32, R12, R13, R14, R15, R8, R9, R10, R11) \
	CLEAR(40, R13, R14, R15, R8, R9, R10, R11, R12) \
	CLEAR(48, R14, R15, R8, R9, R10, R11, R12, R13) \
	CLEAR(56, R15, R8, R9, R10, R11, R12, R13, R14)

// LOAD takes the eight lowest columns.
#define LOAD \
	MOVQ 0(DI), R8   \
	MOVQ 8(DI), R9   \
	MOVQ 16(DI), R10 \
	MOVQ 24(DI), R11 \
	MOVQ 32(DI), R12 \
	MOVQ 40(DI), R13 \
	MOVQ 48(DI), R14 \
	MOVQ 56(DI), R15

// TURN goes on to the next group of what is multiplied, and adds the columns there
// are and what was carried there. What carries from them is for the turn after.
#define TURN \
	ADDQ MIDDLE, R8  \
	ADCQ BP, R9      \
	ADCQ BP, R10     \
	ADCQ BP, R11     \
	ADCQ BP, R12     \
	ADCQ BP, R13     \
	ADCQ BP, R14     \
	ADCQ BP, R15     \
	MOVQ BP, AX      \
	ADCQ BP, AX      \
	ADDQ 64(DI), R8  \
	ADCQ 72(DI), R9  \
	ADCQ 80(DI), R10 \
	ADCQ 88(DI), R11 \
	ADCQ 96(DI), R12 \
	ADCQ 104(DI), R13 \
	ADCQ 112(DI), R14 \
	ADCQ 120(DI), R15 \
	ADCQ BP, AX      \
	MOVQ AX, MIDDLE  \
	ADDQ $64, DI     \
	ADDQ $64, SI

// OPEN begins with the lowest columns.
#define OPEN \
	MOVQ LOWEST, DI \
	MOVQ GROUPS, AX \
	MOVQ AX, TURNS  \
	MOVQ BP, MIDDLE \
	LOAD

// CLOSE stores the columns beyond the highest group.
#define CLOSE \
	MOVQ R8, 0(DI)   \
	MOVQ R9, 8(DI)   \
	MOVQ R10, 16(DI) \
	MOVQ R11, 24(DI) \
	MOVQ R12, 32(DI) \
	MOVQ R13, 40(DI) \
	MOVQ R14, 48(DI) \
	MOVQ R15, 56(DI) \
	MOVQ MIDDLE, AX  \
	ADDQ AX, TOP

// EMPTY sets the columns of a group but the lowest to zero.
#define EMPTY \
	MOVQ BP, 8(DI)   \
	MOVQ BP, 16(DI)  \
	MOVQ BP, 24(DI)  \
	MOVQ BP, 32(DI)  \
	MOVQ BP, 40(DI)  \
	MOVQ BP, 48(DI)  \
	MOVQ BP, 56(DI)

// LESS subtracts a word of the modulus and the borrow in CF.
#define LESS(off) \
	MOVQ off(DI), AX   \
	SBBQ off(SI), AX   \
	MOVQ AX, off(R8)

// CHOOSE puts back what was there before LESS, if the flag NE says so.
#define CHOOSE(off) \
	MOVQ    off(R8), AX \
	CMOVQNE off(DI), AX \
	MOVQ    AX, off(R8)

// func mulWords(z, x, y, n *uint64, inverse uint64, blocks int)
TEXT ·mulWords(SB), NOSPLIT, $624-48
	XORQ BP, BP
	LEAQ (COLUMNS), DI
	MOVQ DI, LOWEST
	MOVQ BP, TOP
	MOVQ blocks+40(FP), CX
	SHLQ $1, CX
	MOVQ CX, GROUPS
	MOVQ CX, ROUNDS

	// No columns yet.
clear:
	MOVQ BP, 0(DI)
	EMPTY
	ADDQ $64, DI
	DECQ CX
	JNZ  clear

	// Each round adds x times eight words of y, then clears the eight lowest
	// columns and leaves them behind. DI is one group beyond the highest here.
round:
	MOVQ TOP, AX
	MOVQ AX, 0(DI)
	MOVQ BP, TOP
	EMPTY

	MOVQ x+8(FP), SI
	MOVQ y+16(FP), CX
	OPEN

product:
	ROWS
	TURN
	DECQ TURNS
	JNZ  product
	CLOSE
	ADDQ $64, CX
	MOVQ CX, y+16(FP)

	MOVQ n+24(FP), SI
	LEAQ MULTIPLES, CX
	OPEN
	CLEARS
	JMP  cleared

multiple:
	ROWS

cleared:
	TURN
	DECQ TURNS
	JNZ  multiple
	CLOSE
	ADDQ $64, LOWEST
	ADDQ $64, DI
	DECQ ROUNDS
	JNZ  round

	// What is left is below twice the modulus.
	MOVQ LOWEST, DI
	MOVQ n+24(FP), SI
	MOVQ z+0(FP), R8
	MOVQ TOP, BX
	MOVQ GROUPS, CX
	XORQ AX, AX // no borrow

less:
	LESS(0)
	LESS(8)
	LESS(16)
	LESS(24)
	LESS(32)
	LESS(40)
	LESS(48)
	LESS(56)
	LEAQ 64(DI), DI
	LEAQ 64(SI), SI
	LEAQ 64(R8), R8
	DECQ CX // and leave the borrow
	JNZ  less
	SBBQ BP, BX
	SBBQ BX, BX
	MOVQ GROUPS, CX
	MOVQ LOWEST, DI
	MOVQ z+0(FP), R8

choose:
	TESTQ BX, BX
	CHOOSE(0)
	CHOOSE(8)
	CHOOSE(16)
	CHOOSE(24)
	CHOOSE(32)
	CHOOSE(40)
	CHOOSE(48)
	CHOOSE(56)
	ADDQ $64, DI
	ADDQ $64, R8
	DECQ CX
	JNZ  choose
	RET

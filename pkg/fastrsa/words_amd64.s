#include "textflag.h"

// Registers: R8 to R15 accumulate eight columns, DX is the factor of a row, SI
// points to what it multiplies, CX to the factors, DI to the lowest column. BP
// is zero. On the stack are 32 columns, eight multiples of n, and the rest.
#define COLUMNS SP
#define MULTIPLES 256(SP)
#define MIDDLE 320(SP)
#define TOP 328(SP)
#define ROUNDS 336(SP)

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

// ROWS is eight rows, their lowest columns to be stored from out on.
#define ROWS(out) \
	ROW(0, out+0, R8, R9, R10, R11, R12, R13, R14, R15)  \
	ROW(8, out+8, R9, R10, R11, R12, R13, R14, R15, R8)  \
	ROW(16, out+16, R10, R11, R12, R13, R14, R15, R8, R9) \
	ROW(24, out+24, R11, R12, R13, R14, R15, R8, R9, R10) \
	ROW(32, out+32, R12, R13, R14, R15, R8, R9, R10, R11) \
	ROW(40, out+40, R13, R14, R15, R8, R9, R10, R11, R12) \
	ROW(48, out+48, R14, R15, R8, R9, R10, R11, R12, R13) \
	ROW(56, out+56, R15, R8, R9, R10, R11, R12, R13, R14)

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

// ADD adds the eight columns from off on and leaves the carry in CF.
#define ADD(off) \
	ADDQ off+0(DI), R8   \
	ADCQ off+8(DI), R9   \
	ADCQ off+16(DI), R10 \
	ADCQ off+24(DI), R11 \
	ADCQ off+32(DI), R12 \
	ADCQ off+40(DI), R13 \
	ADCQ off+48(DI), R14 \
	ADCQ off+56(DI), R15

// TURN goes from the lower half of what is multiplied to its upper half.
#define TURN \
	ADD(64)          \
	MOVQ BP, AX      \
	ADCQ BP, AX      \
	MOVQ AX, MIDDLE  \
	ADDQ $64, SI

// CLOSE stores the columns beyond the upper half, with all carries.
#define CLOSE \
	ADDQ MIDDLE, R8      \
	ADCQ BP, R9          \
	ADCQ BP, R10         \
	ADCQ BP, R11         \
	ADCQ BP, R12         \
	ADCQ BP, R13         \
	ADCQ BP, R14         \
	ADCQ BP, R15         \
	MOVQ BP, AX          \
	ADCQ BP, AX          \
	ADD(128)             \
	ADCQ TOP, AX         \
	MOVQ AX, TOP         \
	MOVQ R8, 128(DI)     \
	MOVQ R9, 136(DI)     \
	MOVQ R10, 144(DI)    \
	MOVQ R11, 152(DI)    \
	MOVQ R12, 160(DI)    \
	MOVQ R13, 168(DI)    \
	MOVQ R14, 176(DI)    \
	MOVQ R15, 184(DI)

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

// func mulWords(z, x, y, n *words, inverse uint64)
TEXT ·mulWords(SB), NOSPLIT, $344-40
	XORQ BP, BP
	LEAQ (COLUMNS), DI
	MOVQ BP, TOP

	// No columns yet.
	MOVQ BP, 0(DI)
	MOVQ BP, 8(DI)
	MOVQ BP, 16(DI)
	MOVQ BP, 24(DI)
	MOVQ BP, 32(DI)
	MOVQ BP, 40(DI)
	MOVQ BP, 48(DI)
	MOVQ BP, 56(DI)
	MOVQ BP, 64(DI)
	MOVQ BP, 72(DI)
	MOVQ BP, 80(DI)
	MOVQ BP, 88(DI)
	MOVQ BP, 96(DI)
	MOVQ BP, 104(DI)
	MOVQ BP, 112(DI)
	MOVQ BP, 120(DI)
	MOVQ $2, AX
	MOVQ AX, ROUNDS

	// Each round adds x times eight words of y, then clears the eight lowest
	// columns and leaves them behind.
round:
	MOVQ TOP, AX
	MOVQ AX, 128(DI)
	MOVQ BP, TOP
	MOVQ BP, 136(DI)
	MOVQ BP, 144(DI)
	MOVQ BP, 152(DI)
	MOVQ BP, 160(DI)
	MOVQ BP, 168(DI)
	MOVQ BP, 176(DI)
	MOVQ BP, 184(DI)

	MOVQ x+8(FP), SI
	MOVQ y+16(FP), CX
	LOAD
	ROWS(0)
	TURN
	ROWS(64)
	CLOSE
	ADDQ $64, CX
	MOVQ CX, y+16(FP)

	MOVQ n+24(FP), SI
	LEAQ MULTIPLES, CX
	LOAD
	CLEARS
	TURN
	ROWS(64)
	CLOSE
	ADDQ $64, DI
	DECQ ROUNDS
	JNZ  round

	// What is left is below twice the modulus.
	MOVQ n+24(FP), SI
	MOVQ z+0(FP), R8
	MOVQ TOP, BX
	XORQ AX, AX // no borrow
	LESS(0)
	LESS(8)
	LESS(16)
	LESS(24)
	LESS(32)
	LESS(40)
	LESS(48)
	LESS(56)
	LESS(64)
	LESS(72)
	LESS(80)
	LESS(88)
	LESS(96)
	LESS(104)
	LESS(112)
	LESS(120)
	SBBQ BP, BX
	SBBQ BX, BX
	TESTQ BX, BX
	CHOOSE(0)
	CHOOSE(8)
	CHOOSE(16)
	CHOOSE(24)
	CHOOSE(32)
	CHOOSE(40)
	CHOOSE(48)
	CHOOSE(56)
	CHOOSE(64)
	CHOOSE(72)
	CHOOSE(80)
	CHOOSE(88)
	CHOOSE(96)
	CHOOSE(104)
	CHOOSE(112)
	CHOOSE(120)
	RET

#include "textflag.h"

// Numbers are multiplied in blocks of 20 limbs, four rows at a time, so that the
// columns of a block stay in registers.
//
// Registers: Z0 to Z23 are columns, Z24 is a limb of y, Z26 one of x or n, Z27 is
// -1/n, Z28 to Z31 are the multiples of n that clear four columns. R10 points to
// the columns in memory, SI to limbs of x, R8 to those of n, DX to those of y. R11
// is how many parts of x, of four limbs each, are left out of the products.

// PRODUCT adds the product of two limbs to the column of its low and of its
// high half.
#define PRODUCT(limb, by, low, high) \
	VMOVDQU64   limb, Z26      \
	VPMADD52LUQ Z26, by, low   \
	VPMADD52HUQ Z26, by, high

// PART adds the product of four limbs from off on and one limb.
#define PART(off, p, by, c0, c1, c2, c3, c4) \
	PRODUCT(off+0(p), by, c0, c1)   \
	PRODUCT(off+64(p), by, c1, c2)  \
	PRODUCT(off+128(p), by, c2, c3) \
	PRODUCT(off+192(p), by, c3, c4)

// MULTIPLE adds the product of the block of n and one limb.
#define MULTIPLE(by, c0, c1, c2, c3, c4, c5, c6, c7, c8, c9, c10, c11, c12, c13, c14, c15, c16, c17, c18, c19, c20) \
	PART(0, R8, by, c0, c1, c2, c3, c4)            \
	PART(256, R8, by, c4, c5, c6, c7, c8)          \
	PART(512, R8, by, c8, c9, c10, c11, c12)       \
	PART(768, R8, by, c12, c13, c14, c15, c16)     \
	PART(1024, R8, by, c16, c17, c18, c19, c20)

// TIMES adds the product of the block of x and one limb, but for the parts that are
// left out. Which those are depends on the row only.
#define TIMES(from0, from1, from2, from3, from4, done, c0, c1, c2, c3, c4, c5, c6, c7, c8, c9, c10, c11, c12, c13, c14, c15, c16, c17, c18, c19, c20) \
	CMPQ R11, $2 \
	JEQ  from2   \
	JLT  from0   \
	CMPQ R11, $4 \
	JLT  from3   \
	JEQ  from4   \
	JMP  done    \
from0: \
	CMPQ R11, $1 \
	JEQ  from1   \
	PART(0, SI, Z24, c0, c1, c2, c3, c4)       \
from1: \
	PART(256, SI, Z24, c4, c5, c6, c7, c8)     \
from2: \
	PART(512, SI, Z24, c8, c9, c10, c11, c12)  \
from3: \
	PART(768, SI, Z24, c12, c13, c14, c15, c16)\
from4: \
	PART(1024, SI, Z24, c16, c17, c18, c19, c20)\
done:

// LOWEST adds x times the limb of y at off, then the multiple of n that makes the
// lowest column a multiple of 2^52, and carries that column into the next.
#define LOWEST(off, multiple, from0, from1, from2, from3, from4, done, c0, c1, c2, c3, c4, c5, c6, c7, c8, c9, c10, c11, c12, c13, c14, c15, c16, c17, c18, c19, c20) \
	VMOVDQU64   off(DX), Z24   \
	VPXORQ      c20, c20, c20  \
	VPXORQ      multiple, multiple, multiple \
	TIMES(from0, from1, from2, from3, from4, done, c0, c1, c2, c3, c4, c5, c6, c7, c8, c9, c10, c11, c12, c13, c14, c15, c16, c17, c18, c19, c20) \
	VPMADD52LUQ Z27, c0, multiple \
	MULTIPLE(multiple, c0, c1, c2, c3, c4, c5, c6, c7, c8, c9, c10, c11, c12, c13, c14, c15, c16, c17, c18, c19, c20) \
	VPSRLQ      $52, c0, c0    \
	VPADDQ      c0, c1, c1

// HIGHER adds, to the columns of a block that is not the lowest, x times the limb
// of y at off and a multiple of n.
#define HIGHER(off, multiple, from0, from1, from2, from3, from4, done, c0, c1, c2, c3, c4, c5, c6, c7, c8, c9, c10, c11, c12, c13, c14, c15, c16, c17, c18, c19, c20) \
	VMOVDQU64 off(DX), Z24     \
	VPXORQ    c20, c20, c20    \
	TIMES(from0, from1, from2, from3, from4, done, c0, c1, c2, c3, c4, c5, c6, c7, c8, c9, c10, c11, c12, c13, c14, c15, c16, c17, c18, c19, c20) \
	MULTIPLE(multiple, c0, c1, c2, c3, c4, c5, c6, c7, c8, c9, c10, c11, c12, c13, c14, c15, c16, c17, c18, c19, c20)

// CARRY adds to the four lowest columns at R10 what the block below has for them.
#define CARRY(z0, z1, z2, z3) \
	VPADDQ 0(R10), Z20, z0   \
	VPADDQ 64(R10), Z21, z1  \
	VPADDQ 128(R10), Z22, z2 \
	VPADDQ 192(R10), Z23, z3

// LOAD takes the columns of a block, STORE puts them back. Of the lowest block the
// four lowest are done with.
#define LOAD \
	CARRY(Z0, Z1, Z2, Z3)      \
	VMOVDQU64 256(R10), Z4     \
	VMOVDQU64 320(R10), Z5     \
	VMOVDQU64 384(R10), Z6     \
	VMOVDQU64 448(R10), Z7     \
	VMOVDQU64 512(R10), Z8     \
	VMOVDQU64 576(R10), Z9     \
	VMOVDQU64 640(R10), Z10    \
	VMOVDQU64 704(R10), Z11    \
	VMOVDQU64 768(R10), Z12    \
	VMOVDQU64 832(R10), Z13    \
	VMOVDQU64 896(R10), Z14    \
	VMOVDQU64 960(R10), Z15    \
	VMOVDQU64 1024(R10), Z16   \
	VMOVDQU64 1088(R10), Z17   \
	VMOVDQU64 1152(R10), Z18   \
	VMOVDQU64 1216(R10), Z19

#define STORE_LOWER \
	VMOVDQU64 Z0, 0(R10)   \
	VMOVDQU64 Z1, 64(R10)  \
	VMOVDQU64 Z2, 128(R10) \
	VMOVDQU64 Z3, 192(R10)

#define STORE_UPPER \
	VMOVDQU64 Z4, 256(R10)     \
	VMOVDQU64 Z5, 320(R10)     \
	VMOVDQU64 Z6, 384(R10)     \
	VMOVDQU64 Z7, 448(R10)     \
	VMOVDQU64 Z8, 512(R10)     \
	VMOVDQU64 Z9, 576(R10)     \
	VMOVDQU64 Z10, 640(R10)    \
	VMOVDQU64 Z11, 704(R10)    \
	VMOVDQU64 Z12, 768(R10)    \
	VMOVDQU64 Z13, 832(R10)    \
	VMOVDQU64 Z14, 896(R10)    \
	VMOVDQU64 Z15, 960(R10)    \
	VMOVDQU64 Z16, 1024(R10)   \
	VMOVDQU64 Z17, 1088(R10)   \
	VMOVDQU64 Z18, 1152(R10)   \
	VMOVDQU64 Z19, 1216(R10)

// TWICE puts twice a limb at off, with the bit from the limb below in Z20, where it
// leaves that for the limb above.
#define TWICE(limb, off) \
	VPSLLQ    $1, limb, Z12   \
	VPANDQ    Z25, Z12, Z12   \
	VPORQ     Z20, Z12, Z12   \
	VPSRLQ    $51, limb, Z20  \
	VMOVDQU64 Z12, off(DI)

// func mulLanes(z, x, y, n, inverse *lanes, blocks int)
//
// On the stack are 80 columns, and 41 limbs of twice x.
TEXT ·mulLanes(SB), 0, $7808-48
	MOVQ x+8(FP), SI
	MOVQ y+16(FP), DX
	MOVQ inverse+32(FP), AX
	MOVQ blocks+40(FP), CX
	LEAQ 63(SP), R9
	ANDQ $~63, R9       // the columns, where cache lines begin
	LEAQ 5120(R9), R12  // twice x
	LEAQ (CX)(CX*4), CX // groups of four rows

	VMOVDQU64 (AX), Z27
	MOVQ      CX, BX
	MOVQ      R9, R10
	XORQ      R11, R11
	XORQ      R13, R13
	CMPQ      SI, DX
	JEQ       square
	VPXORQ    Z0, Z0, Z0

	// Eight columns for each group.
clear:
	VMOVDQU64 Z0, 0(R10)
	VMOVDQU64 Z0, 64(R10)
	VMOVDQU64 Z0, 128(R10)
	VMOVDQU64 Z0, 192(R10)
	VMOVDQU64 Z0, 256(R10)
	VMOVDQU64 Z0, 320(R10)
	VMOVDQU64 Z0, 384(R10)
	VMOVDQU64 Z0, 448(R10)
	ADDQ      $512, R10
	DECQ      BX
	JNZ       clear
	JMP       rows

	// Of a square, the products of the limbs of a group with each other come first.
	// What is left are those with the limbs above the group, all of them twice.
square:
	MOVQ         $0xfffffffffffff, AX
	VPBROADCASTQ AX, Z25
	VPXORQ       Z20, Z20, Z20 // the highest bit of the limb below
	MOVQ         R12, DI

within:
	VMOVDQU64   0(SI), Z8
	VMOVDQU64   64(SI), Z9
	VMOVDQU64   128(SI), Z10
	VMOVDQU64   192(SI), Z11
	VPXORQ      Z0, Z0, Z0
	VPXORQ      Z1, Z1, Z1
	VPXORQ      Z2, Z2, Z2
	VPXORQ      Z3, Z3, Z3
	VPXORQ      Z4, Z4, Z4
	VPXORQ      Z5, Z5, Z5
	VPXORQ      Z6, Z6, Z6
	VPXORQ      Z7, Z7, Z7
	VPMADD52LUQ Z8, Z8, Z0
	VPMADD52HUQ Z8, Z8, Z1
	VPMADD52LUQ Z8, Z9, Z1
	VPMADD52HUQ Z8, Z9, Z2
	VPMADD52LUQ Z8, Z10, Z2
	VPMADD52HUQ Z8, Z10, Z3
	VPMADD52LUQ Z8, Z11, Z3
	VPMADD52HUQ Z8, Z11, Z4
	VPMADD52LUQ Z9, Z8, Z1
	VPMADD52HUQ Z9, Z8, Z2
	VPMADD52LUQ Z9, Z9, Z2
	VPMADD52HUQ Z9, Z9, Z3
	VPMADD52LUQ Z9, Z10, Z3
	VPMADD52HUQ Z9, Z10, Z4
	VPMADD52LUQ Z9, Z11, Z4
	VPMADD52HUQ Z9, Z11, Z5
	VPMADD52LUQ Z10, Z8, Z2
	VPMADD52HUQ Z10, Z8, Z3
	VPMADD52LUQ Z10, Z9, Z3
	VPMADD52HUQ Z10, Z9, Z4
	VPMADD52LUQ Z10, Z10, Z4
	VPMADD52HUQ Z10, Z10, Z5
	VPMADD52LUQ Z10, Z11, Z5
	VPMADD52HUQ Z10, Z11, Z6
	VPMADD52LUQ Z11, Z8, Z3
	VPMADD52HUQ Z11, Z8, Z4
	VPMADD52LUQ Z11, Z9, Z4
	VPMADD52HUQ Z11, Z9, Z5
	VPMADD52LUQ Z11, Z10, Z5
	VPMADD52HUQ Z11, Z10, Z6
	VPMADD52LUQ Z11, Z11, Z6
	VPMADD52HUQ Z11, Z11, Z7
	VMOVDQU64   Z0, 0(R10)
	VMOVDQU64   Z1, 64(R10)
	VMOVDQU64   Z2, 128(R10)
	VMOVDQU64   Z3, 192(R10)
	VMOVDQU64   Z4, 256(R10)
	VMOVDQU64   Z5, 320(R10)
	VMOVDQU64   Z6, 384(R10)
	VMOVDQU64   Z7, 448(R10)

	TWICE(Z8, 0)
	TWICE(Z9, 64)
	TWICE(Z10, 128)
	TWICE(Z11, 192)
	ADDQ $256, SI
	ADDQ $256, DI
	ADDQ $512, R10
	DECQ BX
	JNZ  within
	VMOVDQU64    Z20, (DI)
	MOVQ         $-2, AX
	VPBROADCASTQ AX, Z25
	MOVQ         $1, R13 // more part that is left out with each group
	MOVQ         R13, R11

rows:
	MOVQ x+8(FP), SI
	TESTQ R13, R13
	JEQ  whole
	MOVQ R12, SI

	// The lowest limb above the group has no bit from the group.
	MOVQ      R11, AX
	SHLQ      $8, AX
	VPANDQ    (SI)(AX*1), Z25, Z0
	VMOVDQU64 Z0, (SI)(AX*1)

whole:
	MOVQ   n+24(FP), R8
	MOVQ   blocks+40(FP), BX
	MOVQ   R9, R10
	MOVQ   R11, DI
	VPXORQ Z20, Z20, Z20
	VPXORQ Z21, Z21, Z21
	VPXORQ Z22, Z22, Z22
	VPXORQ Z23, Z23, Z23
	LOAD
	LOWEST(0, Z28, l0a, l0b, l0c, l0d, l0e, l0f, Z0, Z1, Z2, Z3, Z4, Z5, Z6, Z7, Z8, Z9, Z10, Z11, Z12, Z13, Z14, Z15, Z16, Z17, Z18, Z19, Z20)
	LOWEST(64, Z29, l1a, l1b, l1c, l1d, l1e, l1f, Z1, Z2, Z3, Z4, Z5, Z6, Z7, Z8, Z9, Z10, Z11, Z12, Z13, Z14, Z15, Z16, Z17, Z18, Z19, Z20, Z21)
	LOWEST(128, Z30, l2a, l2b, l2c, l2d, l2e, l2f, Z2, Z3, Z4, Z5, Z6, Z7, Z8, Z9, Z10, Z11, Z12, Z13, Z14, Z15, Z16, Z17, Z18, Z19, Z20, Z21, Z22)
	LOWEST(192, Z31, l3a, l3b, l3c, l3d, l3e, l3f, Z3, Z4, Z5, Z6, Z7, Z8, Z9, Z10, Z11, Z12, Z13, Z14, Z15, Z16, Z17, Z18, Z19, Z20, Z21, Z22, Z23)
	STORE_UPPER
	JMP next

higher:
	LOAD
	HIGHER(0, Z28, h0a, h0b, h0c, h0d, h0e, h0f, Z0, Z1, Z2, Z3, Z4, Z5, Z6, Z7, Z8, Z9, Z10, Z11, Z12, Z13, Z14, Z15, Z16, Z17, Z18, Z19, Z20)
	HIGHER(64, Z29, h1a, h1b, h1c, h1d, h1e, h1f, Z1, Z2, Z3, Z4, Z5, Z6, Z7, Z8, Z9, Z10, Z11, Z12, Z13, Z14, Z15, Z16, Z17, Z18, Z19, Z20, Z21)
	HIGHER(128, Z30, h2a, h2b, h2c, h2d, h2e, h2f, Z2, Z3, Z4, Z5, Z6, Z7, Z8, Z9, Z10, Z11, Z12, Z13, Z14, Z15, Z16, Z17, Z18, Z19, Z20, Z21, Z22)
	HIGHER(192, Z31, h3a, h3b, h3c, h3d, h3e, h3f, Z3, Z4, Z5, Z6, Z7, Z8, Z9, Z10, Z11, Z12, Z13, Z14, Z15, Z16, Z17, Z18, Z19, Z20, Z21, Z22, Z23)
	STORE_LOWER
	STORE_UPPER

next:
	ADDQ $1280, SI
	ADDQ $1280, R8
	ADDQ $1280, R10
	SUBQ $5, R11
	DECQ BX
	JNZ  higher

	// The highest block has something for the columns beyond it.
	CARRY(Z20, Z21, Z22, Z23)
	VMOVDQU64 Z20, 0(R10)
	VMOVDQU64 Z21, 64(R10)
	VMOVDQU64 Z22, 128(R10)
	VMOVDQU64 Z23, 192(R10)
	LEAQ      (DI)(R13*1), R11
	ADDQ      $256, R9
	ADDQ      $256, DX
	DECQ      CX
	JNZ       rows

	// Columns become limbs of 52 bits, the rest is carried.
	MOVQ         z+0(FP), DI
	MOVQ         blocks+40(FP), CX
	LEAQ         (CX)(CX*4), CX
	SHLQ         $2, CX
	MOVQ         $0xfffffffffffff, AX
	VPBROADCASTQ AX, Z25
	VPXORQ       Z24, Z24, Z24

settle:
	VPADDQ    (R9), Z24, Z0
	VPSRLQ    $52, Z0, Z24
	VPANDQ    Z25, Z0, Z0
	VMOVDQU64 Z0, (DI)
	ADDQ      $64, R9
	ADDQ      $64, DI
	DECQ      CX
	JNZ       settle
	VZEROUPPER
	RET

// TAKE merges a limb of an entry into what was taken, in the lanes of K1.
#define TAKE(off, c) VMOVDQU64 off(R8), K1, c

// func selectLanes(z, table, index *lanes, blocks int)
TEXT ·selectLanes(SB), NOSPLIT, $0-32
	MOVQ z+0(FP), DI
	MOVQ table+8(FP), SI
	MOVQ index+16(FP), DX
	MOVQ blocks+24(FP), BX

	VMOVDQU64    (DX), Z20
	MOVQ         $1, AX
	VPBROADCASTQ AX, Z22
	IMUL3Q       $1280, BX, R9 // the length of an entry

blocks:
	VPXORQ Z21, Z21, Z21
	MOVQ   SI, R8
	MOVQ   $16, CX

	// Every entry is read, whichever is wanted.
entries:
	VPCMPEQQ Z20, Z21, K1
	TAKE(0, Z0)
	TAKE(64, Z1)
	TAKE(128, Z2)
	TAKE(192, Z3)
	TAKE(256, Z4)
	TAKE(320, Z5)
	TAKE(384, Z6)
	TAKE(448, Z7)
	TAKE(512, Z8)
	TAKE(576, Z9)
	TAKE(640, Z10)
	TAKE(704, Z11)
	TAKE(768, Z12)
	TAKE(832, Z13)
	TAKE(896, Z14)
	TAKE(960, Z15)
	TAKE(1024, Z16)
	TAKE(1088, Z17)
	TAKE(1152, Z18)
	TAKE(1216, Z19)
	VPADDQ Z22, Z21, Z21
	ADDQ   R9, R8
	DECQ   CX
	JNZ    entries

	VMOVDQU64 Z0, 0(DI)
	VMOVDQU64 Z1, 64(DI)
	VMOVDQU64 Z2, 128(DI)
	VMOVDQU64 Z3, 192(DI)
	VMOVDQU64 Z4, 256(DI)
	VMOVDQU64 Z5, 320(DI)
	VMOVDQU64 Z6, 384(DI)
	VMOVDQU64 Z7, 448(DI)
	VMOVDQU64 Z8, 512(DI)
	VMOVDQU64 Z9, 576(DI)
	VMOVDQU64 Z10, 640(DI)
	VMOVDQU64 Z11, 704(DI)
	VMOVDQU64 Z12, 768(DI)
	VMOVDQU64 Z13, 832(DI)
	VMOVDQU64 Z14, 896(DI)
	VMOVDQU64 Z15, 960(DI)
	VMOVDQU64 Z16, 1024(DI)
	VMOVDQU64 Z17, 1088(DI)
	VMOVDQU64 Z18, 1152(DI)
	VMOVDQU64 Z19, 1216(DI)
	ADDQ $1280, SI
	ADDQ $1280, DI
	DECQ BX
	JNZ  blocks
	VZEROUPPER
	RET

#include "textflag.h"

// Numbers are multiplied in blocks of 20 limbs, four rows at a time, so that the
// columns of a block stay in registers.
//
// Registers: Z0 to Z23 are columns, Z24 is a limb of y, Z26 one of x or n, Z27 is
// -1/n, Z28 to Z31 are the multiples of n that clear four columns. R10 points to
// the columns in memory, SI to limbs of x, R8 to those of n, DX to those of y.

// PRODUCT adds the product of two limbs to the column of its low and of its
// high half.
#define PRODUCT(limb, by, low, high) \
	VMOVDQU64   limb, Z26      \
	VPMADD52LUQ Z26, by, low   \
	VPMADD52HUQ Z26, by, high

// TIMES adds the product of the block at p and one limb.
#define TIMES(p, by, c0, c1, c2, c3, c4, c5, c6, c7, c8, c9, c10, c11, c12, c13, c14, c15, c16, c17, c18, c19, c20) \
	PRODUCT(0(p), by, c0, c1)          \
	PRODUCT(64(p), by, c1, c2)         \
	PRODUCT(128(p), by, c2, c3)        \
	PRODUCT(192(p), by, c3, c4)        \
	PRODUCT(256(p), by, c4, c5)        \
	PRODUCT(320(p), by, c5, c6)        \
	PRODUCT(384(p), by, c6, c7)        \
	PRODUCT(448(p), by, c7, c8)        \
	PRODUCT(512(p), by, c8, c9)        \
	PRODUCT(576(p), by, c9, c10)       \
	PRODUCT(640(p), by, c10, c11)      \
	PRODUCT(704(p), by, c11, c12)      \
	PRODUCT(768(p), by, c12, c13)      \
	PRODUCT(832(p), by, c13, c14)      \
	PRODUCT(896(p), by, c14, c15)      \
	PRODUCT(960(p), by, c15, c16)      \
	PRODUCT(1024(p), by, c16, c17)     \
	PRODUCT(1088(p), by, c17, c18)     \
	PRODUCT(1152(p), by, c18, c19)     \
	PRODUCT(1216(p), by, c19, c20)

// LOWEST adds x times the limb of y at off, then the multiple of n that makes the
// lowest column a multiple of 2^52, and carries that column into the next.
#define LOWEST(off, multiple, c0, c1, c2, c3, c4, c5, c6, c7, c8, c9, c10, c11, c12, c13, c14, c15, c16, c17, c18, c19, c20) \
	VMOVDQU64   off(DX), Z24   \
	VPXORQ      c20, c20, c20  \
	VPXORQ      multiple, multiple, multiple \
	TIMES(SI, Z24, c0, c1, c2, c3, c4, c5, c6, c7, c8, c9, c10, c11, c12, c13, c14, c15, c16, c17, c18, c19, c20) \
	VPMADD52LUQ Z27, c0, multiple \
	TIMES(R8, multiple, c0, c1, c2, c3, c4, c5, c6, c7, c8, c9, c10, c11, c12, c13, c14, c15, c16, c17, c18, c19, c20) \
	VPSRLQ      $52, c0, c0    \
	VPADDQ      c0, c1, c1

// HIGHER adds, to the columns of a block that is not the lowest, x times the limb
// of y at off and a multiple of n.
#define HIGHER(off, multiple, c0, c1, c2, c3, c4, c5, c6, c7, c8, c9, c10, c11, c12, c13, c14, c15, c16, c17, c18, c19, c20) \
	VMOVDQU64 off(DX), Z24     \
	VPXORQ    c20, c20, c20    \
	TIMES(SI, Z24, c0, c1, c2, c3, c4, c5, c6, c7, c8, c9, c10, c11, c12, c13, c14, c15, c16, c17, c18, c19, c20) \
	TIMES(R8, multiple, c0, c1, c2, c3, c4, c5, c6, c7, c8, c9, c10, c11, c12, c13, c14, c15, c16, c17, c18, c19, c20)

// LOAD takes the columns of a block, with what the block below has carried there.
#define LOAD \
	VPADDQ    0(R10), Z20, Z0      \
	VPADDQ    64(R10), Z21, Z1     \
	VPADDQ    128(R10), Z22, Z2    \
	VPADDQ    192(R10), Z23, Z3    \
	VMOVDQU64 256(R10), Z4         \
	VMOVDQU64 320(R10), Z5         \
	VMOVDQU64 384(R10), Z6         \
	VMOVDQU64 448(R10), Z7         \
	VMOVDQU64 512(R10), Z8         \
	VMOVDQU64 576(R10), Z9         \
	VMOVDQU64 640(R10), Z10        \
	VMOVDQU64 704(R10), Z11        \
	VMOVDQU64 768(R10), Z12        \
	VMOVDQU64 832(R10), Z13        \
	VMOVDQU64 896(R10), Z14        \
	VMOVDQU64 960(R10), Z15        \
	VMOVDQU64 1024(R10), Z16       \
	VMOVDQU64 1088(R10), Z17       \
	VMOVDQU64 1152(R10), Z18       \
	VMOVDQU64 1216(R10), Z19

// STORE_LOWER and STORE_UPPER put the columns of a block four places lower than
// they were: the four lowest, which those of the lowest block leave, and the rest.
#define STORE_LOWER \
	VMOVDQU64 Z0, -256(R10) \
	VMOVDQU64 Z1, -192(R10) \
	VMOVDQU64 Z2, -128(R10) \
	VMOVDQU64 Z3, -64(R10)

#define STORE_UPPER \
	VMOVDQU64 Z4, 0(R10)       \
	VMOVDQU64 Z5, 64(R10)      \
	VMOVDQU64 Z6, 128(R10)     \
	VMOVDQU64 Z7, 192(R10)     \
	VMOVDQU64 Z8, 256(R10)     \
	VMOVDQU64 Z9, 320(R10)     \
	VMOVDQU64 Z10, 384(R10)    \
	VMOVDQU64 Z11, 448(R10)    \
	VMOVDQU64 Z12, 512(R10)    \
	VMOVDQU64 Z13, 576(R10)    \
	VMOVDQU64 Z14, 640(R10)    \
	VMOVDQU64 Z15, 704(R10)    \
	VMOVDQU64 Z16, 768(R10)    \
	VMOVDQU64 Z17, 832(R10)    \
	VMOVDQU64 Z18, 896(R10)    \
	VMOVDQU64 Z19, 960(R10)

// func mulLanes(z, x, y, n, inverse *lanes, blocks int)
TEXT ·mulLanes(SB), 0, $2624-48
	MOVQ y+16(FP), DX
	MOVQ inverse+32(FP), AX
	MOVQ blocks+40(FP), CX
	LEAQ 63(SP), R9
	ANDQ $~63, R9 // the columns, where cache lines begin

	VMOVDQU64 (AX), Z27
	VPXORQ    Z0, Z0, Z0
	LEAQ      (CX)(CX*4), CX
	MOVQ      CX, BX
	MOVQ      R9, R10

	// 20 columns for each block, four of them for each group of rows.
clear:
	VMOVDQU64 Z0, 0(R10)
	VMOVDQU64 Z0, 64(R10)
	VMOVDQU64 Z0, 128(R10)
	VMOVDQU64 Z0, 192(R10)
	ADDQ      $256, R10
	DECQ      BX
	JNZ       clear

rows:
	MOVQ   x+8(FP), SI
	MOVQ   n+24(FP), R8
	MOVQ   blocks+40(FP), BX
	MOVQ   R9, R10
	VPXORQ Z20, Z20, Z20
	VPXORQ Z21, Z21, Z21
	VPXORQ Z22, Z22, Z22
	VPXORQ Z23, Z23, Z23
	LOAD
	LOWEST(0, Z28, Z0, Z1, Z2, Z3, Z4, Z5, Z6, Z7, Z8, Z9, Z10, Z11, Z12, Z13, Z14, Z15, Z16, Z17, Z18, Z19, Z20)
	LOWEST(64, Z29, Z1, Z2, Z3, Z4, Z5, Z6, Z7, Z8, Z9, Z10, Z11, Z12, Z13, Z14, Z15, Z16, Z17, Z18, Z19, Z20, Z21)
	LOWEST(128, Z30, Z2, Z3, Z4, Z5, Z6, Z7, Z8, Z9, Z10, Z11, Z12, Z13, Z14, Z15, Z16, Z17, Z18, Z19, Z20, Z21, Z22)
	LOWEST(192, Z31, Z3, Z4, Z5, Z6, Z7, Z8, Z9, Z10, Z11, Z12, Z13, Z14, Z15, Z16, Z17, Z18, Z19, Z20, Z21, Z22, Z23)
	STORE_UPPER
	JMP  next

higher:
	LOAD
	HIGHER(0, Z28, Z0, Z1, Z2, Z3, Z4, Z5, Z6, Z7, Z8, Z9, Z10, Z11, Z12, Z13, Z14, Z15, Z16, Z17, Z18, Z19, Z20)
	HIGHER(64, Z29, Z1, Z2, Z3, Z4, Z5, Z6, Z7, Z8, Z9, Z10, Z11, Z12, Z13, Z14, Z15, Z16, Z17, Z18, Z19, Z20, Z21)
	HIGHER(128, Z30, Z2, Z3, Z4, Z5, Z6, Z7, Z8, Z9, Z10, Z11, Z12, Z13, Z14, Z15, Z16, Z17, Z18, Z19, Z20, Z21, Z22)
	HIGHER(192, Z31, Z3, Z4, Z5, Z6, Z7, Z8, Z9, Z10, Z11, Z12, Z13, Z14, Z15, Z16, Z17, Z18, Z19, Z20, Z21, Z22, Z23)
	STORE_LOWER
	STORE_UPPER

next:
	ADDQ $1280, SI
	ADDQ $1280, R8
	ADDQ $1280, R10
	DECQ BX
	JNZ  higher

	// The highest block carries into columns that were not there yet.
	VMOVDQU64 Z20, -256(R10)
	VMOVDQU64 Z21, -192(R10)
	VMOVDQU64 Z22, -128(R10)
	VMOVDQU64 Z23, -64(R10)
	ADDQ      $256, DX
	DECQ      CX
	JNZ       rows

	// Columns become limbs of 52 bits, the rest is carried.
	MOVQ         z+0(FP), DI
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
	CMPQ      R9, R10
	JNE       settle
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

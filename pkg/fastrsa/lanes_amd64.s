#include "textflag.h"

// Registers: Z0 to Z23 accumulate columns, Z24 a limb of y, Z25 the multiple of
// n that clears a column, Z26 a limb of x or n, Z27 what -1/n is per lane.

// PRODUCT adds the product of two limbs to the column of its low and of its
// high half.
#define PRODUCT(limb, by, low, high) \
	VMOVDQU64   limb, Z26      \
	VPMADD52LUQ Z26, by, low   \
	VPMADD52HUQ Z26, by, high

// TIMES adds the product of the number at p and one limb.
#define TIMES(p, by, c0, c1, c2, c3, c4, c5, c6, c7, c8, c9, c10, c11, c12, c13, c14, c15, c16, c17, c18, c19, c20) \
	PRODUCT(0(p), by, c0, c1)       \
	PRODUCT(64(p), by, c1, c2)      \
	PRODUCT(128(p), by, c2, c3)     \
	PRODUCT(192(p), by, c3, c4)     \
	PRODUCT(256(p), by, c4, c5)     \
	PRODUCT(320(p), by, c5, c6)     \
	PRODUCT(384(p), by, c6, c7)     \
	PRODUCT(448(p), by, c7, c8)     \
	PRODUCT(512(p), by, c8, c9)     \
	PRODUCT(576(p), by, c9, c10)    \
	PRODUCT(640(p), by, c10, c11)   \
	PRODUCT(704(p), by, c11, c12)   \
	PRODUCT(768(p), by, c12, c13)   \
	PRODUCT(832(p), by, c13, c14)   \
	PRODUCT(896(p), by, c14, c15)   \
	PRODUCT(960(p), by, c15, c16)   \
	PRODUCT(1024(p), by, c16, c17)  \
	PRODUCT(1088(p), by, c17, c18)  \
	PRODUCT(1152(p), by, c18, c19)  \
	PRODUCT(1216(p), by, c19, c20)

// ROW adds x times the limb of y at off, then the multiple of n that makes the
// lowest column a multiple of 2^52, and carries that column into the next.
#define ROW(off, c0, c1, c2, c3, c4, c5, c6, c7, c8, c9, c10, c11, c12, c13, c14, c15, c16, c17, c18, c19, c20) \
	VMOVDQU64   off(DX), Z24   \
	VPXORQ      c20, c20, c20  \
	VPXORQ      Z25, Z25, Z25  \
	TIMES(SI, Z24, c0, c1, c2, c3, c4, c5, c6, c7, c8, c9, c10, c11, c12, c13, c14, c15, c16, c17, c18, c19, c20) \
	VPMADD52LUQ Z27, c0, Z25   \
	TIMES(R8, Z25, c0, c1, c2, c3, c4, c5, c6, c7, c8, c9, c10, c11, c12, c13, c14, c15, c16, c17, c18, c19, c20) \
	VPSRLQ      $52, c0, c0    \
	VPADDQ      c0, c1, c1

// SETTLE writes a column as a limb of 52 bits and carries the rest.
#define SETTLE(off, c, next) \
	VPSRLQ    $52, c, Z24      \
	VPANDQ    Z25, c, c        \
	VMOVDQU64 c, off(DI)       \
	VPADDQ    Z24, next, next

// func mulLanes(z, x, y, n *number, inverse *lanes)
TEXT ·mulLanes(SB), NOSPLIT, $0-40
	MOVQ z+0(FP), DI
	MOVQ x+8(FP), SI
	MOVQ y+16(FP), DX
	MOVQ n+24(FP), R8
	MOVQ inverse+32(FP), R9

	VMOVDQU64 (R9), Z27
	VPXORQ    Z0, Z0, Z0
	VPXORQ    Z1, Z1, Z1
	VPXORQ    Z2, Z2, Z2
	VPXORQ    Z3, Z3, Z3
	VPXORQ    Z4, Z4, Z4
	VPXORQ    Z5, Z5, Z5
	VPXORQ    Z6, Z6, Z6
	VPXORQ    Z7, Z7, Z7
	VPXORQ    Z8, Z8, Z8
	VPXORQ    Z9, Z9, Z9
	VPXORQ    Z10, Z10, Z10
	VPXORQ    Z11, Z11, Z11
	VPXORQ    Z12, Z12, Z12
	VPXORQ    Z13, Z13, Z13
	VPXORQ    Z14, Z14, Z14
	VPXORQ    Z15, Z15, Z15
	VPXORQ    Z16, Z16, Z16
	VPXORQ    Z17, Z17, Z17
	VPXORQ    Z18, Z18, Z18
	VPXORQ    Z19, Z19, Z19
	MOVQ      $5, CX

	// Four rows at a time, each one column further, before columns move back.
rows:
	ROW(0, Z0, Z1, Z2, Z3, Z4, Z5, Z6, Z7, Z8, Z9, Z10, Z11, Z12, Z13, Z14, Z15, Z16, Z17, Z18, Z19, Z20)
	ROW(64, Z1, Z2, Z3, Z4, Z5, Z6, Z7, Z8, Z9, Z10, Z11, Z12, Z13, Z14, Z15, Z16, Z17, Z18, Z19, Z20, Z21)
	ROW(128, Z2, Z3, Z4, Z5, Z6, Z7, Z8, Z9, Z10, Z11, Z12, Z13, Z14, Z15, Z16, Z17, Z18, Z19, Z20, Z21, Z22)
	ROW(192, Z3, Z4, Z5, Z6, Z7, Z8, Z9, Z10, Z11, Z12, Z13, Z14, Z15, Z16, Z17, Z18, Z19, Z20, Z21, Z22, Z23)
	VMOVDQA64 Z4, Z0
	VMOVDQA64 Z5, Z1
	VMOVDQA64 Z6, Z2
	VMOVDQA64 Z7, Z3
	VMOVDQA64 Z8, Z4
	VMOVDQA64 Z9, Z5
	VMOVDQA64 Z10, Z6
	VMOVDQA64 Z11, Z7
	VMOVDQA64 Z12, Z8
	VMOVDQA64 Z13, Z9
	VMOVDQA64 Z14, Z10
	VMOVDQA64 Z15, Z11
	VMOVDQA64 Z16, Z12
	VMOVDQA64 Z17, Z13
	VMOVDQA64 Z18, Z14
	VMOVDQA64 Z19, Z15
	VMOVDQA64 Z20, Z16
	VMOVDQA64 Z21, Z17
	VMOVDQA64 Z22, Z18
	VMOVDQA64 Z23, Z19
	ADDQ      $256, DX
	DECQ      CX
	JNZ       rows

	MOVQ         $0xfffffffffffff, AX
	VPBROADCASTQ AX, Z25
	SETTLE(0, Z0, Z1)
	SETTLE(64, Z1, Z2)
	SETTLE(128, Z2, Z3)
	SETTLE(192, Z3, Z4)
	SETTLE(256, Z4, Z5)
	SETTLE(320, Z5, Z6)
	SETTLE(384, Z6, Z7)
	SETTLE(448, Z7, Z8)
	SETTLE(512, Z8, Z9)
	SETTLE(576, Z9, Z10)
	SETTLE(640, Z10, Z11)
	SETTLE(704, Z11, Z12)
	SETTLE(768, Z12, Z13)
	SETTLE(832, Z13, Z14)
	SETTLE(896, Z14, Z15)
	SETTLE(960, Z15, Z16)
	SETTLE(1024, Z16, Z17)
	SETTLE(1088, Z17, Z18)
	SETTLE(1152, Z18, Z19)
	VMOVDQU64    Z19, 1216(DI)
	VZEROUPPER
	RET

// TAKE merges a limb of an entry into what was taken, in the lanes of K1.
#define TAKE(off, c) VMOVDQU64 off(SI), K1, c

// func selectLanes(z *number, table *[16]number, index *lanes)
TEXT ·selectLanes(SB), NOSPLIT, $0-24
	MOVQ z+0(FP), DI
	MOVQ table+8(FP), SI
	MOVQ index+16(FP), DX

	VMOVDQU64    (DX), Z20
	VPXORQ       Z21, Z21, Z21
	MOVQ         $1, AX
	VPBROADCASTQ AX, Z22
	MOVQ         $16, CX

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
	ADDQ   $1280, SI
	DECQ   CX
	JNZ    entries

	VMOVDQU64 Z0, (DI)
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
	VZEROUPPER
	RET

#include "textflag.h"

// Numbers are multiplied in blocks of 20 limbs. Of the columns that products are
// added to, 20 and the next few are in registers; the lowest are done with row by
// row.
//
// Registers: Z0 to Z23 are columns, Z24 is a limb that all limbs of a block are
// multiplied by, Z26 one of those, Z25 is a mask of 52 bits, Z27 is -1/n, Z28 and
// Z29 are multiples of n. R10 points to the columns in memory, SI to the limbs of a
// block, DX to those that it is multiplied by.

// PRODUCT adds the product of two limbs to the column of its low and of its
// high half.
#define PRODUCT(off, by, low, high) \
	VMOVDQU64   off(SI), Z26   \
	VPMADD52LUQ Z26, by, low   \
	VPMADD52HUQ Z26, by, high

// PRODUCTS adds the products of four limbs from off on and one limb.
#define PRODUCTS(off, by, c0, c1, c2, c3, c4) \
	PRODUCT(off+0, by, c0, c1)   \
	PRODUCT(off+64, by, c1, c2)  \
	PRODUCT(off+128, by, c2, c3) \
	PRODUCT(off+192, by, c3, c4)

// LOAD takes 20 columns from memory, those of the lanes in K1, STORE puts them back.
#define LOAD \
	VMOVDQU64.Z 0(R10), K1, Z0 \
	VMOVDQU64.Z 64(R10), K1, Z1 \
	VMOVDQU64.Z 128(R10), K1, Z2 \
	VMOVDQU64.Z 192(R10), K1, Z3 \
	VMOVDQU64.Z 256(R10), K1, Z4 \
	VMOVDQU64.Z 320(R10), K1, Z5 \
	VMOVDQU64.Z 384(R10), K1, Z6 \
	VMOVDQU64.Z 448(R10), K1, Z7 \
	VMOVDQU64.Z 512(R10), K1, Z8 \
	VMOVDQU64.Z 576(R10), K1, Z9 \
	VMOVDQU64.Z 640(R10), K1, Z10 \
	VMOVDQU64.Z 704(R10), K1, Z11 \
	VMOVDQU64.Z 768(R10), K1, Z12 \
	VMOVDQU64.Z 832(R10), K1, Z13 \
	VMOVDQU64.Z 896(R10), K1, Z14 \
	VMOVDQU64.Z 960(R10), K1, Z15 \
	VMOVDQU64.Z 1024(R10), K1, Z16 \
	VMOVDQU64.Z 1088(R10), K1, Z17 \
	VMOVDQU64.Z 1152(R10), K1, Z18 \
	VMOVDQU64.Z 1216(R10), K1, Z19

#define STORE \
	VMOVDQU64 Z0, 0(R10) \
	VMOVDQU64 Z1, 64(R10) \
	VMOVDQU64 Z2, 128(R10) \
	VMOVDQU64 Z3, 192(R10) \
	VMOVDQU64 Z4, 256(R10) \
	VMOVDQU64 Z5, 320(R10) \
	VMOVDQU64 Z6, 384(R10) \
	VMOVDQU64 Z7, 448(R10) \
	VMOVDQU64 Z8, 512(R10) \
	VMOVDQU64 Z9, 576(R10) \
	VMOVDQU64 Z10, 640(R10) \
	VMOVDQU64 Z11, 704(R10) \
	VMOVDQU64 Z12, 768(R10) \
	VMOVDQU64 Z13, 832(R10) \
	VMOVDQU64 Z14, 896(R10) \
	VMOVDQU64 Z15, 960(R10) \
	VMOVDQU64 Z16, 1024(R10) \
	VMOVDQU64 Z17, 1088(R10) \
	VMOVDQU64 Z18, 1152(R10) \
	VMOVDQU64 Z19, 1216(R10)

// ROTATE puts the columns from the fifth on in the place of those that are done
// with. It costs next to nothing: registers are renamed.
#define ROTATE \
	VMOVDQA64 Z4, Z0 \
	VMOVDQA64 Z5, Z1 \
	VMOVDQA64 Z6, Z2 \
	VMOVDQA64 Z7, Z3 \
	VMOVDQA64 Z8, Z4 \
	VMOVDQA64 Z9, Z5 \
	VMOVDQA64 Z10, Z6 \
	VMOVDQA64 Z11, Z7 \
	VMOVDQA64 Z12, Z8 \
	VMOVDQA64 Z13, Z9 \
	VMOVDQA64 Z14, Z10 \
	VMOVDQA64 Z15, Z11 \
	VMOVDQA64 Z16, Z12 \
	VMOVDQA64 Z17, Z13 \
	VMOVDQA64 Z18, Z14 \
	VMOVDQA64 Z19, Z15 \
	VMOVDQA64 Z20, Z16 \
	VMOVDQA64 Z21, Z17 \
	VMOVDQA64 Z22, Z18 \
	VMOVDQA64 Z23, Z19

// ROW adds the product of a block and its limb at off, and puts the lowest column
// back.
#define ROW(off, c0, c1, c2, c3, c4, c5, c6, c7, c8, c9, c10, c11, c12, c13, c14, c15, c16, c17, c18, c19, c20) \
	VMOVDQU64 off(DX), Z24            \
	VMOVDQU64.Z 1280+off(R10), K1, c20             \
	PRODUCTS(0, Z24, c0, c1, c2, c3, c4)           \
	PRODUCTS(256, Z24, c4, c5, c6, c7, c8)         \
	PRODUCTS(512, Z24, c8, c9, c10, c11, c12)      \
	PRODUCTS(768, Z24, c12, c13, c14, c15, c16)    \
	PRODUCTS(1024, Z24, c16, c17, c18, c19, c20)   \
	VMOVDQU64 c0, off(R10)

// func multiplyBlocks(columns, x, y *lanes, keep uint64)
TEXT ·multiplyBlocks(SB), NOSPLIT, $0-32
	MOVQ  columns+0(FP), R10
	MOVQ  x+8(FP), SI
	MOVQ  y+16(FP), DX
	MOVQ  keep+24(FP), AX
	KMOVW AX, K1
	MOVQ  $5, CX
	LOAD

rows:
	ROW(0, Z0, Z1, Z2, Z3, Z4, Z5, Z6, Z7, Z8, Z9, Z10, Z11, Z12, Z13, Z14, Z15, Z16, Z17, Z18, Z19, Z20)
	ROW(64, Z1, Z2, Z3, Z4, Z5, Z6, Z7, Z8, Z9, Z10, Z11, Z12, Z13, Z14, Z15, Z16, Z17, Z18, Z19, Z20, Z21)
	ROW(128, Z2, Z3, Z4, Z5, Z6, Z7, Z8, Z9, Z10, Z11, Z12, Z13, Z14, Z15, Z16, Z17, Z18, Z19, Z20, Z21, Z22)
	ROW(192, Z3, Z4, Z5, Z6, Z7, Z8, Z9, Z10, Z11, Z12, Z13, Z14, Z15, Z16, Z17, Z18, Z19, Z20, Z21, Z22, Z23)
	ROTATE
	ADDQ $256, DX
	ADDQ $256, R10
	DECQ CX
	JNZ  rows
	STORE
	VZEROUPPER
	RET

// CLEAR adds a multiple of the block of n that makes the lowest column a multiple
// of 2^52, and carries that column into the next. The next multiple is computed as
// soon as its column is known, so that nothing waits for it.
#define CLEAR(off, multiple, next, c0, c1, c2, c3, c4, c5, c6, c7, c8, c9, c10, c11, c12, c13, c14, c15, c16, c17, c18, c19, c20) \
	VMOVDQU64   multiple, off(DX)                  \
	VMOVDQU64   1280+off(R10), c20                 \
	PRODUCT(0, multiple, c0, c1)                   \
	PRODUCT(64, multiple, c1, c2)                  \
	VPSRAQ      $52, c0, c0                        \
	VPADDQ      c0, c1, c1                         \
	VPXORQ      next, next, next                   \
	VPMADD52LUQ Z27, c1, next                      \
	PRODUCT(128, multiple, c2, c3)                 \
	PRODUCT(192, multiple, c3, c4)                 \
	PRODUCTS(256, multiple, c4, c5, c6, c7, c8)    \
	PRODUCTS(512, multiple, c8, c9, c10, c11, c12) \
	PRODUCTS(768, multiple, c12, c13, c14, c15, c16) \
	PRODUCTS(1024, multiple, c16, c17, c18, c19, c20)

// func clearBlock(columns, multiples, n, inverse *lanes)
TEXT ·clearBlock(SB), NOSPLIT, $0-32
	MOVQ        columns+0(FP), R10
	MOVQ        multiples+8(FP), DX
	MOVQ        n+16(FP), SI
	MOVQ        inverse+24(FP), AX
	MOVQ        $5, CX
	VMOVDQU64   (AX), Z27
	KXNORW      K1, K1, K1
	LOAD
	VPXORQ      Z28, Z28, Z28
	VPMADD52LUQ Z27, Z0, Z28

rows:
	CLEAR(0, Z28, Z29, Z0, Z1, Z2, Z3, Z4, Z5, Z6, Z7, Z8, Z9, Z10, Z11, Z12, Z13, Z14, Z15, Z16, Z17, Z18, Z19, Z20)
	CLEAR(64, Z29, Z28, Z1, Z2, Z3, Z4, Z5, Z6, Z7, Z8, Z9, Z10, Z11, Z12, Z13, Z14, Z15, Z16, Z17, Z18, Z19, Z20, Z21)
	CLEAR(128, Z28, Z29, Z2, Z3, Z4, Z5, Z6, Z7, Z8, Z9, Z10, Z11, Z12, Z13, Z14, Z15, Z16, Z17, Z18, Z19, Z20, Z21, Z22)
	CLEAR(192, Z29, Z28, Z3, Z4, Z5, Z6, Z7, Z8, Z9, Z10, Z11, Z12, Z13, Z14, Z15, Z16, Z17, Z18, Z19, Z20, Z21, Z22, Z23)
	ROTATE
	ADDQ $256, DX
	ADDQ $256, R10
	DECQ CX
	JNZ  rows
	STORE
	VZEROUPPER
	RET

// LIMB takes a limb that others are multiplied by. It doubles the column of the low
// half of its square, which has products of different limbs, adds that half and puts
// the column back. New is the next column that there will be products for. HIGH does
// the same with the column of the high half.
#define LIMB(off, column, new) \
	VMOVDQU64   off(SI), Z24           \
	VPADDQ      column, column, column \
	VPMADD52LUQ Z24, Z24, column       \
	VMOVDQU64   column, (2*off)(R10)   \
	VPXORQ      new, new, new

#define HIGH(off, column) \
	VPADDQ      column, column, column  \
	VPMADD52HUQ Z24, Z24, column        \
	VMOVDQU64   column, (2*off+64)(R10)

// func squareBlock(columns, x *lanes)
//
// Column k is in register k modulo 20. The products of a limb are those with the
// limbs above it.
TEXT ·squareBlock(SB), NOSPLIT, $0-16
	MOVQ columns+0(FP), R10
	MOVQ x+8(FP), SI
	VPXORQ Z0, Z0, Z0
	VPXORQ Z1, Z1, Z1
	VPXORQ Z2, Z2, Z2
	VPXORQ Z3, Z3, Z3
	VPXORQ Z4, Z4, Z4
	VPXORQ Z5, Z5, Z5
	VPXORQ Z6, Z6, Z6
	VPXORQ Z7, Z7, Z7
	VPXORQ Z8, Z8, Z8
	VPXORQ Z9, Z9, Z9
	VPXORQ Z10, Z10, Z10
	VPXORQ Z11, Z11, Z11
	VPXORQ Z12, Z12, Z12
	VPXORQ Z13, Z13, Z13
	VPXORQ Z14, Z14, Z14
	VPXORQ Z15, Z15, Z15
	VPXORQ Z16, Z16, Z16
	VPXORQ Z17, Z17, Z17
	VPXORQ Z18, Z18, Z18
	VPXORQ Z19, Z19, Z19

	LIMB(0, Z0, Z0)
	PRODUCTS(64, Z24, Z1, Z2, Z3, Z4, Z5)
	PRODUCTS(320, Z24, Z5, Z6, Z7, Z8, Z9)
	PRODUCTS(576, Z24, Z9, Z10, Z11, Z12, Z13)
	PRODUCTS(832, Z24, Z13, Z14, Z15, Z16, Z17)
	PRODUCT(1088, Z24, Z17, Z18)
	PRODUCT(1152, Z24, Z18, Z19)
	PRODUCT(1216, Z24, Z19, Z0)
	HIGH(0, Z1)

	LIMB(64, Z2, Z1)
	PRODUCTS(128, Z24, Z3, Z4, Z5, Z6, Z7)
	PRODUCTS(384, Z24, Z7, Z8, Z9, Z10, Z11)
	PRODUCTS(640, Z24, Z11, Z12, Z13, Z14, Z15)
	PRODUCTS(896, Z24, Z15, Z16, Z17, Z18, Z19)
	PRODUCT(1152, Z24, Z19, Z0)
	PRODUCT(1216, Z24, Z0, Z1)
	HIGH(64, Z3)

	LIMB(128, Z4, Z2)
	PRODUCTS(192, Z24, Z5, Z6, Z7, Z8, Z9)
	PRODUCTS(448, Z24, Z9, Z10, Z11, Z12, Z13)
	PRODUCTS(704, Z24, Z13, Z14, Z15, Z16, Z17)
	PRODUCTS(960, Z24, Z17, Z18, Z19, Z0, Z1)
	PRODUCT(1216, Z24, Z1, Z2)
	HIGH(128, Z5)

	LIMB(192, Z6, Z3)
	PRODUCTS(256, Z24, Z7, Z8, Z9, Z10, Z11)
	PRODUCTS(512, Z24, Z11, Z12, Z13, Z14, Z15)
	PRODUCTS(768, Z24, Z15, Z16, Z17, Z18, Z19)
	PRODUCTS(1024, Z24, Z19, Z0, Z1, Z2, Z3)
	HIGH(192, Z7)

	LIMB(256, Z8, Z4)
	PRODUCTS(320, Z24, Z9, Z10, Z11, Z12, Z13)
	PRODUCTS(576, Z24, Z13, Z14, Z15, Z16, Z17)
	PRODUCTS(832, Z24, Z17, Z18, Z19, Z0, Z1)
	PRODUCT(1088, Z24, Z1, Z2)
	PRODUCT(1152, Z24, Z2, Z3)
	PRODUCT(1216, Z24, Z3, Z4)
	HIGH(256, Z9)

	LIMB(320, Z10, Z5)
	PRODUCTS(384, Z24, Z11, Z12, Z13, Z14, Z15)
	PRODUCTS(640, Z24, Z15, Z16, Z17, Z18, Z19)
	PRODUCTS(896, Z24, Z19, Z0, Z1, Z2, Z3)
	PRODUCT(1152, Z24, Z3, Z4)
	PRODUCT(1216, Z24, Z4, Z5)
	HIGH(320, Z11)

	LIMB(384, Z12, Z6)
	PRODUCTS(448, Z24, Z13, Z14, Z15, Z16, Z17)
	PRODUCTS(704, Z24, Z17, Z18, Z19, Z0, Z1)
	PRODUCTS(960, Z24, Z1, Z2, Z3, Z4, Z5)
	PRODUCT(1216, Z24, Z5, Z6)
	HIGH(384, Z13)

	LIMB(448, Z14, Z7)
	PRODUCTS(512, Z24, Z15, Z16, Z17, Z18, Z19)
	PRODUCTS(768, Z24, Z19, Z0, Z1, Z2, Z3)
	PRODUCTS(1024, Z24, Z3, Z4, Z5, Z6, Z7)
	HIGH(448, Z15)

	LIMB(512, Z16, Z8)
	PRODUCTS(576, Z24, Z17, Z18, Z19, Z0, Z1)
	PRODUCTS(832, Z24, Z1, Z2, Z3, Z4, Z5)
	PRODUCT(1088, Z24, Z5, Z6)
	PRODUCT(1152, Z24, Z6, Z7)
	PRODUCT(1216, Z24, Z7, Z8)
	HIGH(512, Z17)

	LIMB(576, Z18, Z9)
	PRODUCTS(640, Z24, Z19, Z0, Z1, Z2, Z3)
	PRODUCTS(896, Z24, Z3, Z4, Z5, Z6, Z7)
	PRODUCT(1152, Z24, Z7, Z8)
	PRODUCT(1216, Z24, Z8, Z9)
	HIGH(576, Z19)

	LIMB(640, Z0, Z10)
	PRODUCTS(704, Z24, Z1, Z2, Z3, Z4, Z5)
	PRODUCTS(960, Z24, Z5, Z6, Z7, Z8, Z9)
	PRODUCT(1216, Z24, Z9, Z10)
	HIGH(640, Z1)

	LIMB(704, Z2, Z11)
	PRODUCTS(768, Z24, Z3, Z4, Z5, Z6, Z7)
	PRODUCTS(1024, Z24, Z7, Z8, Z9, Z10, Z11)
	HIGH(704, Z3)

	LIMB(768, Z4, Z12)
	PRODUCTS(832, Z24, Z5, Z6, Z7, Z8, Z9)
	PRODUCT(1088, Z24, Z9, Z10)
	PRODUCT(1152, Z24, Z10, Z11)
	PRODUCT(1216, Z24, Z11, Z12)
	HIGH(768, Z5)

	LIMB(832, Z6, Z13)
	PRODUCTS(896, Z24, Z7, Z8, Z9, Z10, Z11)
	PRODUCT(1152, Z24, Z11, Z12)
	PRODUCT(1216, Z24, Z12, Z13)
	HIGH(832, Z7)

	LIMB(896, Z8, Z14)
	PRODUCTS(960, Z24, Z9, Z10, Z11, Z12, Z13)
	PRODUCT(1216, Z24, Z13, Z14)
	HIGH(896, Z9)

	LIMB(960, Z10, Z15)
	PRODUCTS(1024, Z24, Z11, Z12, Z13, Z14, Z15)
	HIGH(960, Z11)

	LIMB(1024, Z12, Z16)
	PRODUCT(1088, Z24, Z13, Z14)
	PRODUCT(1152, Z24, Z14, Z15)
	PRODUCT(1216, Z24, Z15, Z16)
	HIGH(1024, Z13)

	LIMB(1088, Z14, Z17)
	PRODUCT(1152, Z24, Z15, Z16)
	PRODUCT(1216, Z24, Z16, Z17)
	HIGH(1088, Z15)

	LIMB(1152, Z16, Z18)
	PRODUCT(1216, Z24, Z17, Z18)
	HIGH(1152, Z17)

	LIMB(1216, Z18, Z19)
	HIGH(1216, Z19)
	VZEROUPPER
	RET

// SUBTRACT subtracts one limb, and leaves the borrow for the next.
#define SUBTRACT(off) \
	VMOVDQU64 off(SI), Z0          \
	VPSUBQ    1280+off(SI), Z0, Z0 \
	VPADDQ    Z1, Z0, Z0           \
	VPSRAQ    $52, Z0, Z1          \
	VPANDQ    Z25, Z0, Z0          \
	VMOVDQU64 Z0, off(DI)

// func subtractBlocks(d, x *lanes)
TEXT ·subtractBlocks(SB), NOSPLIT, $0-16
	MOVQ         d+0(FP), DI
	MOVQ         x+8(FP), SI
	MOVQ         $5, CX
	MOVQ         $0xfffffffffffff, AX
	VPBROADCASTQ AX, Z25
	VPXORQ       Z1, Z1, Z1 // the borrow, 0 or -1

limbs:
	SUBTRACT(0)
	SUBTRACT(64)
	SUBTRACT(128)
	SUBTRACT(192)
	ADDQ $256, SI
	ADDQ $256, DI
	DECQ CX
	JNZ  limbs
	VMOVDQU64 Z1, (DI)
	VZEROUPPER
	RET

// func addMiddle(columns, product, d, e *lanes)
TEXT ·addMiddle(SB), NOSPLIT, $0-32
	MOVQ      columns+0(FP), R10
	MOVQ      product+8(FP), DI
	MOVQ      d+16(FP), SI
	MOVQ      e+24(FP), DX
	MOVQ      $20, CX
	VMOVDQU64 1280(SI), Z20
	VMOVDQU64 1280(DX), Z21

columns:
	VMOVDQU64 1280(R10), Z0
	VPADDQ    2560(R10), Z0, Z0
	VMOVDQU64 (R10), Z1
	VPSUBQ    (DI), Z1, Z1
	VPADDQ    Z0, Z1, Z1
	VMOVDQU64 Z1, 1280(R10)
	VMOVDQU64 3840(R10), Z2
	VPSUBQ    1280(DI), Z2, Z2
	VPADDQ    Z0, Z2, Z2
	VPANDQ    (SI), Z21, Z3
	VPADDQ    Z3, Z2, Z2
	VPANDQ    (DX), Z20, Z4
	VPADDQ    Z4, Z2, Z2
	VMOVDQU64 Z2, 2560(R10)
	ADDQ      $64, R10
	ADDQ      $64, DI
	ADDQ      $64, SI
	ADDQ      $64, DX
	DECQ      CX
	JNZ       columns

	// Twice negative: one less in column 60. R10 is 20 columns further.
	VPANDQ    Z20, Z21, Z0
	VPADDQ    2560(R10), Z0, Z0
	VMOVDQU64 Z0, 2560(R10)
	VZEROUPPER
	RET

// SETTLE carries one column into the next.
#define SETTLE(off) \
	VPADDQ    off(R10), Z1, Z0 \
	VPSRAQ    $52, Z0, Z1      \
	VPANDQ    Z25, Z0, Z0      \
	VMOVDQU64 Z0, off(DI)

// func settle(z, columns *lanes, limbs int)
TEXT ·settle(SB), NOSPLIT, $0-24
	MOVQ         z+0(FP), DI
	MOVQ         columns+8(FP), R10
	MOVQ         limbs+16(FP), CX
	MOVQ         $0xfffffffffffff, AX
	VPBROADCASTQ AX, Z25
	VPXORQ       Z1, Z1, Z1

limbs:
	SETTLE(0)
	SETTLE(64)
	SETTLE(128)
	SETTLE(192)
	ADDQ $256, R10
	ADDQ $256, DI
	SUBQ $4, CX
	JNZ  limbs
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

#include "textflag.h"

// SPREAD xors each word of key into those above it, and a word that g names by
// the bytes of order into all of them, and stores the next round key.
#define SPREAD(key, g, order, off) \
	PSHUFD $order, g, X2 \
	MOVOU  key, X4       \
	PSLLDQ $4, X4        \
	PXOR   X4, key       \
	PSLLDQ $4, X4        \
	PXOR   X4, key       \
	PSLLDQ $4, X4        \
	PXOR   X4, key       \
	PXOR   X2, key       \
	MOVOU  key, off(DI)

// PAIR makes two round keys (FIPS 197 §5.2 for keys of 256 bits).
#define PAIR(rcon, off) \
	AESKEYGENASSIST $rcon, X3, X5 \
	SPREAD(X1, X5, 0xff, off)     \
	AESKEYGENASSIST $0, X1, X5    \
	SPREAD(X3, X5, 0xaa, off+16)

// func expandKey(keys *roundKeys, key *[KeySize]byte)
TEXT ·expandKey(SB), NOSPLIT, $0-16
	MOVQ  keys+0(FP), DI
	MOVQ  key+8(FP), SI
	MOVOU (SI), X1
	MOVOU 16(SI), X3
	MOVOU X1, (DI)
	MOVOU X3, 16(DI)
	PAIR(1, 32)
	PAIR(2, 64)
	PAIR(4, 96)
	PAIR(8, 128)
	PAIR(16, 160)
	PAIR(32, 192)
	AESKEYGENASSIST $64, X3, X5
	SPREAD(X1, X5, 0xff, 224)
	RET

// func encryptBlocks(keys *roundKeys, iv *[BlockSize]byte, dst, src *byte, blocks int)
TEXT ·encryptBlocks(SB), NOSPLIT, $0-40
	MOVQ keys+0(FP), R8
	MOVQ iv+8(FP), R9
	MOVQ dst+16(FP), DI
	MOVQ src+24(FP), SI
	MOVQ blocks+32(FP), CX

	// All round keys but the first stay in registers.
	VMOVDQU (R9), X0
	VMOVDQU 16(R8), X2
	VMOVDQU 32(R8), X3
	VMOVDQU 48(R8), X4
	VMOVDQU 64(R8), X5
	VMOVDQU 80(R8), X6
	VMOVDQU 96(R8), X7
	VMOVDQU 112(R8), X8
	VMOVDQU 128(R8), X9
	VMOVDQU 144(R8), X10
	VMOVDQU 160(R8), X11
	VMOVDQU 176(R8), X12
	VMOVDQU 192(R8), X13
	VMOVDQU 208(R8), X14
	VMOVDQU 224(R8), X15

block:
	VMOVDQU     (SI), X1
	VPXOR       (R8), X1, X1
	VPXOR       X1, X0, X0
	VAESENC     X2, X0, X0
	VAESENC     X3, X0, X0
	VAESENC     X4, X0, X0
	VAESENC     X5, X0, X0
	VAESENC     X6, X0, X0
	VAESENC     X7, X0, X0
	VAESENC     X8, X0, X0
	VAESENC     X9, X0, X0
	VAESENC     X10, X0, X0
	VAESENC     X11, X0, X0
	VAESENC     X12, X0, X0
	VAESENC     X13, X0, X0
	VAESENC     X14, X0, X0
	VAESENCLAST X15, X0, X0
	VMOVDQU     X0, (DI)
	ADDQ        $16, SI
	ADDQ        $16, DI
	DECQ        CX
	JNZ         block

	VMOVDQU X0, (R9)
	RET

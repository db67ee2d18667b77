package fastrsa

import "golang.org/x/sys/cpu"

func newPowers(primes *[2]prime, exponent uint) powers {
	switch x86 := &cpu.X86; {
	case x86.HasAVX512F && x86.HasAVX512IFMA:
		return newLanePowers(primes, exponent)
	case x86.HasADX && x86.HasBMI2:
		return &wordPowers{primes, exponent}
	}
	return nil
}

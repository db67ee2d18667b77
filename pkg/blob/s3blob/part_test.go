package s3blob

import "testing"

// Parts must add up to the largest object that S3 takes, and be of a size that
// it takes.
func TestPartSizes(t *testing.T) {
	t.Parallel()
	const largest = 5 << 40
	for _, first := range []int64{defaultPartSize, 64 << 20, maxPartSize} {
		var sum, last int64
		for i := range maxParts {
			size := int64(partSize(first, i))
			if size < last || size > maxPartSize {
				t.Fatalf("first %d: part %d has %d bytes after one of %d", first, i, size, last)
			}
			if sum < 4<<30 && size != first {
				t.Fatalf("first %d: part %d has %d bytes, want all alike in the first 4 GiB", first, i, size)
			}
			sum, last = sum+size, size
		}
		if sum < largest {
			t.Errorf("first %d: %d parts hold %d bytes, want %d", first, maxParts, sum, int64(largest))
		}
	}
}

package s3blob

// Parts have the size asked for as long as there are not many, and then twice
// that, and so on: the 10 000 parts that S3 allows must do for 5 TiB, and how
// long an object will be is not known when its first part is sent. With 5 MiB to
// begin with, parts are all alike up to 4.6 GiB, and of 10 MiB up to 14 GiB.
const partsAlike = 950

// partSize is the size of the part with that index, in bytes.
func partSize(first int64, index int) int {
	return int(min(first<<min(index/partsAlike, 20), maxPartSize))
}

// share is how many of the parts that may be sent at once a part counts for.
func (s *Store) share(size int) int64 {
	parts := (int64(size) + s.options.PartSize - 1) / s.options.PartSize
	return min(parts, int64(s.options.Parallel))
}

// buffer returns an empty buffer of that capacity.
func (s *Store) buffer(size int) []byte {
	if int64(size) == s.options.PartSize {
		select {
		case b := <-s.buffers:
			return b
		default:
		}
	}
	return make([]byte, 0, size)
}

// giveBack keeps a buffer for the next part, if it is of the common size.
func (s *Store) giveBack(b []byte) {
	if int64(cap(b)) != s.options.PartSize {
		return
	}
	select {
	case s.buffers <- b[:0]:
	default:
	}
}

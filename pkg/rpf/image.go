package rpf

import (
	"encoding/binary"
	"image"
	"image/gif"
	"image/jpeg"
	"image/png"
	"io"

	"github.com/lcp-tools/lcp/pkg/publication"
)

// imageSize returns the dimensions in pixels that the image's header tells, or
// zeros where it tells none.
func imageSize(p publication.Part) (width, height int) {
	decoders := map[string]func(io.Reader) (image.Config, error){
		"image/jpeg": jpeg.DecodeConfig, "image/png": png.DecodeConfig, "image/gif": gif.DecodeConfig,
		"image/webp": decodeWebP,
	}
	decode := decoders[p.MediaType]
	if decode == nil {
		return 0, 0
	}
	r, err := p.Open()
	if err != nil {
		return 0, 0
	}
	defer r.Close()
	const maxHeader = 1 << 20 // colour profiles and metadata come first
	config, err := decode(io.LimitReader(r, maxHeader))
	if err != nil {
		return 0, 0
	}
	return config.Width, config.Height
}

// decodeWebP reads the dimensions in the first chunk of a WebP image (RFC 9649
// §2.5 to §2.7).
func decodeWebP(r io.Reader) (image.Config, error) {
	var head [30]byte
	if _, err := io.ReadFull(r, head[:]); err != nil {
		return image.Config{}, err
	}
	le := binary.LittleEndian
	if string(head[:4]) != "RIFF" || string(head[8:12]) != "WEBP" {
		return image.Config{}, image.ErrFormat
	}
	switch string(head[12:16]) {
	case "VP8 ":
		return image.Config{
			Width: int(le.Uint16(head[26:]) & 0x3fff), Height: int(le.Uint16(head[28:]) & 0x3fff),
		}, nil
	case "VP8L":
		bits := le.Uint32(head[21:])
		return image.Config{Width: int(bits&0x3fff) + 1, Height: int(bits>>14&0x3fff) + 1}, nil
	case "VP8X":
		uint24 := func(b []byte) int { return int(b[0]) | int(b[1])<<8 | int(b[2])<<16 }
		return image.Config{Width: uint24(head[24:]) + 1, Height: uint24(head[27:]) + 1}, nil
	default:
		return image.Config{}, image.ErrFormat
	}
}

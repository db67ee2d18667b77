package main

import (
	"bytes"
	"image"
	"image/color"
	"image/jpeg"
	"image/png"
	"math"
)

// A scene is a picture of hills under a sun, the same for the same numbers.
type scene struct {
	width, height int
	hour          float64 // of the day, 6 to 18: where the sun stands
	hills         int
}

// The palette of scenes, from sky to the nearest hill.
var palette = color.Palette{
	color.RGBA{0xfd, 0xf0, 0xd5, 0xff},
	color.RGBA{0xf2, 0xb1, 0x34, 0xff},
	color.RGBA{0x9d, 0xc3, 0xa7, 0xff},
	color.RGBA{0x5a, 0x96, 0x7c, 0xff},
	color.RGBA{0x2f, 0x66, 0x5a, 0xff},
	color.RGBA{0x16, 0x3b, 0x3b, 0xff},
}

// draw returns the picture in flat colors.
func (s scene) draw() *image.Paletted {
	img := image.NewPaletted(image.Rect(0, 0, s.width, s.height), palette)
	for y := range s.height {
		for x := range s.width {
			img.SetColorIndex(x, y, s.at(x, y))
		}
	}
	return img
}

// at returns the color of a point: the nearest hill that covers it, the sun, or
// the sky.
func (s scene) at(x, y int) uint8 {
	w, h := float64(s.width), float64(s.height)
	for hill := s.hills; hill > 0; hill-- {
		phase := 2*float64(hill) + s.hour
		top := h * (0.45 + 0.12*float64(hill) + 0.06*math.Sin(phase+5*float64(x)/w))
		if float64(y) > top {
			return uint8(1 + hill)
		}
	}
	angle := math.Pi * (18 - s.hour) / 12
	sunX, sunY := w*(0.5+0.4*math.Cos(angle)), h*(0.55-0.35*math.Sin(angle))
	if math.Hypot(float64(x)-sunX, float64(y)-sunY) < w/9 {
		return 1
	}
	return 0
}

func (s scene) jpeg() ([]byte, error) {
	var buf bytes.Buffer
	err := jpeg.Encode(&buf, s.draw(), &jpeg.Options{Quality: 60})
	return buf.Bytes(), err
}

func (s scene) png() ([]byte, error) {
	var buf bytes.Buffer
	enc := png.Encoder{CompressionLevel: png.BestCompression}
	err := enc.Encode(&buf, s.draw())
	return buf.Bytes(), err
}

// pages returns n pictures of one day as files named by name, which is given
// the number of the page.
func pages(n int, name func(int) string, encode func(scene) ([]byte, error)) ([]file, error) {
	var files []file
	for i := range n {
		hour := 7 + 10*float64(i)/float64(max(n-1, 1))
		data, err := encode(scene{width: 420, height: 595, hour: hour, hills: 4})
		if err != nil {
			return nil, err
		}
		files = append(files, file{name(i + 1), data})
	}
	return files, nil
}

// cover returns the cover that all samples share.
func cover(name string) (file, error) {
	data, err := scene{width: 420, height: 595, hour: 9, hills: 3}.jpeg()
	return file{name, data}, err
}

// ornament is a vector image, which unlike the others is text.
const ornament = `<?xml version="1.0" encoding="UTF-8"?>
<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 120 20" role="img" aria-label="ornament">
  <path d="M5 10 Q 30 -5 60 10 T 115 10" fill="none" stroke="#2f665a" stroke-width="2"/>
  <circle cx="60" cy="10" r="4" fill="#f2b134"/>
</svg>
`

package wire

import "errors"

// formats are the names that searches have for the media types of publications.
var formats = map[string]string{
	"epub": "application/epub+zip", "pdf": "application/pdf", "lcpdf": "application/pdf+lcp",
	"lcpa": "application/audiobook+lcp", "lcpau": "application/audiobook+lcp",
	"lcpdi": "application/divina+lcp", "webpub": "application/webpub+lcp",
}

// FormatType returns the media type of the publications of a format. The error
// tells which formats there are.
func FormatType(format string) (string, error) {
	if mediaType, ok := formats[format]; ok {
		return mediaType, nil
	}
	return "", errors.New("must be one of epub, pdf, lcpdf, lcpa, lcpau, lcpdi, webpub")
}

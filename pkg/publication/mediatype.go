package publication

import (
	"path"
	"strings"
)

// mediaTypes by file name extension: the core media types of EPUB 3.3 and the
// types of audiobooks and comics. It is fixed, since the tables of operating
// systems differ.
var mediaTypes = map[string]string{
	".xhtml": "application/xhtml+xml", ".html": "text/html", ".htm": "text/html", ".xml": "application/xml",
	".opf": "application/oebps-package+xml", ".ncx": "application/x-dtbncx+xml", ".smil": "application/smil+xml",
	".pls": "application/pls+xml", ".css": "text/css", ".js": "text/javascript", ".json": "application/json",
	".txt": "text/plain", ".svg": "image/svg+xml", ".vtt": "text/vtt",
	".jpg": "image/jpeg", ".jpeg": "image/jpeg", ".png": "image/png", ".gif": "image/gif", ".webp": "image/webp",
	".avif": "image/avif", ".jxl": "image/jxl", ".bmp": "image/bmp", ".tif": "image/tiff", ".tiff": "image/tiff",
	".mp3": "audio/mpeg", ".m4a": "audio/mp4", ".m4b": "audio/mp4", ".aac": "audio/aac", ".ogg": "audio/ogg",
	".oga": "audio/ogg", ".opus": "audio/ogg", ".flac": "audio/flac", ".wav": "audio/wav", ".weba": "audio/webm",
	".mp4": "video/mp4", ".m4v": "video/mp4", ".webm": "video/webm", ".ogv": "video/ogg", ".mov": "video/quicktime",
	".pdf": "application/pdf", ".ttf": "font/ttf", ".otf": "font/otf", ".woff": "font/woff", ".woff2": "font/woff2",
}

// MediaTypeByName guesses a media type from the extension of a file name. It
// returns "" where the extension says nothing.
func MediaTypeByName(name string) string {
	return mediaTypes[strings.ToLower(path.Ext(name))]
}

// IsCodec reports whether a resource has a codec type (LCP §1.2): image, audio,
// video or PDF. Compressing one gains nothing and keeps readers from seeking in
// it. The file name decides only where no media type is given.
func IsCodec(mediaType, name string) bool {
	if mediaType == "" {
		mediaType = MediaTypeByName(name)
	}
	mediaType, _, _ = strings.Cut(mediaType, ";")
	mediaType = strings.ToLower(strings.TrimSpace(mediaType))
	switch class, _, _ := strings.Cut(mediaType, "/"); class {
	case "audio", "video":
		return true
	case "image":
		return mediaType != "image/svg+xml"
	default:
		return mediaType == "application/pdf" || mediaType == "application/ogg"
	}
}

// IsInputName reports whether a file is called as publications are. It serves to
// pick files from a folder; what a file is, its content tells.
func IsInputName(name string) bool {
	switch strings.ToLower(path.Ext(name)) {
	case ".epub", ".pdf", ".audiobook", ".lcpa", ".lcpau", ".divina", ".lcpdi", ".cbz", ".lcpdf", ".webpub", ".rpf", ".lpf":
		return true
	default:
		return false
	}
}

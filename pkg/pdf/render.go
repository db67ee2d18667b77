package pdf

import (
	"context"
	"errors"
)

// RenderCover draws the first page of the PDF file at path with pdftoppm of
// poppler, which is found at program, and returns it as JPEG. The caller sets
// the time limit in ctx; the program is killed when it passes. The program
// gets none of this process's environment, which may hold secrets.
func RenderCover(ctx context.Context, program, path string) ([]byte, error) {
	return nil, errors.ErrUnsupported
}

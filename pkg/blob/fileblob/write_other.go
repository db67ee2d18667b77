//go:build !linux

package fileblob

import (
	"errors"
	"os"
)

// createUnnamed always fails: files have names here.
func createUnnamed(string) (*os.File, error) { return nil, errors.ErrUnsupported }

func nameFile(*os.File, string) error { return errors.ErrUnsupported }

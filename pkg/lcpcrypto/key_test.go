package lcpcrypto_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"

	"github.com/lcp-tools/lcp/pkg/lcpcrypto"
)

func TestParseContentKey(t *testing.T) {
	t.Parallel()
	want := lcpcrypto.NewContentKey()
	if got, err := lcpcrypto.ParseContentKey(want.Base64()); err != nil || got != want {
		t.Errorf("ParseContentKey(k.Base64()) = another key, %v", err)
	}
	for name, tt := range map[string]struct {
		text string
		size bool // the error is ErrKeySize
	}{
		"empty":           {"", true},
		"31 bytes":        {strings.Repeat("A", 40) + "AA==", true},
		"33 bytes":        {strings.Repeat("A", 44), true},
		"not base64":      {strings.Repeat("*", 44), false},
		"base64url":       {strings.Repeat("_", 43) + "=", false},
		"without padding": {strings.Repeat("A", 43), false},
	} {
		_, err := lcpcrypto.ParseContentKey(tt.text)
		if err == nil || errors.Is(err, lcpcrypto.ErrKeySize) != tt.size {
			t.Errorf("%s: ParseContentKey = %v", name, err)
		}
		if err != nil && tt.text != "" && strings.Contains(err.Error(), tt.text) {
			t.Errorf("%s: the error repeats the text: %v", name, err)
		}
	}
}

func TestParseUserKey(t *testing.T) {
	t.Parallel()
	const text = "4981AA0A50D563040519E9032B5D74367B1D129E239A1BA82667A57333866494"
	for _, in := range []string{text, strings.ToLower(text)} {
		k, err := lcpcrypto.ParseUserKey(in)
		if err != nil || k.Hex() != strings.ToLower(text) {
			t.Errorf("ParseUserKey(%q).Hex() = %q, %v", in, k.Hex(), err)
		}
	}
	for _, in := range []string{"", text[1:], text[2:], text + "00", "G" + text[1:]} {
		_, err := lcpcrypto.ParseUserKey(in)
		if err == nil || in != "" && strings.Contains(err.Error(), in) {
			t.Errorf("ParseUserKey(%q) = %v", in, err)
		}
	}
}

func TestNewContentKeyIsRandom(t *testing.T) {
	t.Parallel()
	if a, b := lcpcrypto.NewContentKey(), lcpcrypto.NewContentKey(); a == b || a == (lcpcrypto.ContentKey{}) {
		t.Errorf("NewContentKey gave %s twice", a.Base64())
	}
}

// Every way in which a key could get into a log or a message by accident.
func TestKeysDoNotPrint(t *testing.T) {
	t.Parallel()
	raw := bytes.Repeat([]byte{0xab}, lcpcrypto.KeySize)
	content, user := lcpcrypto.ContentKey(raw), lcpcrypto.UserKey(raw)
	type holder struct {
		Content lcpcrypto.ContentKey
		User    lcpcrypto.UserKey
	}
	for name, v := range map[string]any{
		"content key":            content,
		"user key":               user,
		"pointer to content key": &content,
		"pointer to user key":    &user,
		"struct":                 holder{content, user},
		"pointer to struct":      &holder{content, user},
		"slice":                  []any{content, user},
		"map":                    map[string]any{"c": content, "u": user},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%X", "%d", "%b", "%o"} {
				checkRedacted(t, verb, fmt.Sprintf(verb, v))
			}
			checkRedacted(t, "Errorf", fmt.Errorf("use %v", v).Error())
			text, err := json.Marshal(v)
			checkRedacted(t, "json", string(text))
			if err == nil {
				t.Errorf("json.Marshal = %s, want an error", text)
			}
			var log bytes.Buffer
			o := &slog.HandlerOptions{ReplaceAttr: withoutTime}
			for _, h := range []slog.Handler{slog.NewTextHandler(&log, o), slog.NewJSONHandler(&log, o)} {
				slog.New(h).Info("key", "key", v, slog.Group("g", "key", v))
			}
			checkRedacted(t, "slog", log.String())
		})
	}
}

// withoutTime drops the time of a record, whose digits are any digits.
func withoutTime(_ []string, a slog.Attr) slog.Attr {
	if a.Key == slog.TimeKey {
		return slog.Attr{}
	}
	return a
}

func checkRedacted(t *testing.T, how, got string) {
	t.Helper()
	for _, leak := range []string{"abab", "ABAB", "171", "0xab", "10101011", "253", "q6ur", "\xab"} {
		if strings.Contains(got, leak) {
			t.Errorf("%s prints %q", how, got)
			return
		}
	}
}

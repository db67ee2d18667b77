//go:build ignore

// Callback answers whether a license may be delivered.
//
//	DELIVERY_KID=… DELIVERY_SECRET=… PORT=8000 go run callback.go
package main

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"os"
	"strconv"
	"strings"
	"time"
)

type object = map[string]any

// secrets holds two of them while one follows the other.
var secrets = map[string]string{os.Getenv("DELIVERY_KID"): os.Getenv("DELIVERY_SECRET")}

func main() {
	listener, err := net.Listen("tcp", "127.0.0.1:"+os.Getenv("PORT"))
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println("listening on", listener.Addr())
	log.Fatal(http.Serve(listener, http.HandlerFunc(answer)))
}

func answer(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, 1<<20))
	if err != nil || !genuine(r.Header, body) {
		reply(w, http.StatusUnauthorized, object{})
		return
	}
	var question struct{ User, Asset string }
	if err := json.Unmarshal(body, &question); err != nil {
		reply(w, http.StatusBadRequest, object{})
		return
	}
	if question.User != "u1" { // look the loan up in your database
		reply(w, http.StatusForbidden, object{"message": "Borrow this book first.", "redirectUrl": "https://shop.example.org/books"})
		return
	}
	passHash := sha256.Sum256([]byte("the user's passphrase"))
	reply(w, http.StatusOK, object{
		"profile":  object{"type": "rental", "relativeExpiration": "P14D"},
		"user":     object{"name": "Zoe", "encrypted": []string{"name"}},
		"passHash": hex.EncodeToString(passHash[:]),
		"textHint": "The passphrase of your account",
	})
}

// genuine checks that the license server sent the body, in the last five minutes.
func genuine(h http.Header, body []byte) bool {
	secret, err := hex.DecodeString(secrets[h.Get("X-LCP-Key-Id")])
	if err != nil || len(secret) < 32 {
		return false
	}
	seconds, err := strconv.ParseInt(h.Get("X-LCP-Timestamp"), 10, 64)
	if err != nil || time.Since(time.Unix(seconds, 0)).Abs() > 5*time.Minute {
		return false
	}
	digits, _ := strings.CutPrefix(h.Get("X-LCP-Signature"), "v1=")
	signature, err := hex.DecodeString(digits)
	mac := hmac.New(sha256.New, secret)
	fmt.Fprintf(mac, "v1:%d:%s", seconds, body)
	return err == nil && hmac.Equal(signature, mac.Sum(nil))
}

func reply(w http.ResponseWriter, status int, v object) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(v)
}

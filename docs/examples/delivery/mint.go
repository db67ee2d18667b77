//go:build ignore

// Mint prints a token for a loan of 14 days.
//
//	DELIVERY_KID=… DELIVERY_SECRET=… go run mint.go ASSET USER
package main

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"log"
	"os"
	"time"
)

type object = map[string]any

func main() {
	if len(os.Args) != 3 {
		log.Fatal("usage: mint ASSET USER")
	}
	secret, err := hex.DecodeString(os.Getenv("DELIVERY_SECRET")) // as lcp secrets add shows it
	if err != nil || len(secret) < 32 {
		log.Fatal("DELIVERY_SECRET must be 64 hexadecimal digits or more")
	}
	passHash := sha256.Sum256([]byte("the user's passphrase"))
	header := object{"alg": "HS256", "typ": "JWT", "kid": os.Getenv("DELIVERY_KID")}
	claims := object{
		"jti":     rand.Text(), // good for one license
		"iat":     time.Now().Unix(),
		"optData": object{"userId": os.Args[2]},
		"crt": object{
			"assetId":  os.Args[1],
			"profile":  object{"type": "rental", "relativeExpiration": "P14D"},
			"lcp":      object{"print": 10, "copy": 10000},
			"passHash": hex.EncodeToString(passHash[:]),
			"textHint": "The passphrase of your account",
		},
	}
	text := part(header) + "." + part(claims)
	mac := hmac.New(sha256.New, secret)
	mac.Write([]byte(text))
	fmt.Println(text + "." + base64.RawURLEncoding.EncodeToString(mac.Sum(nil)))
}

func part(v object) string {
	text, err := json.Marshal(v)
	if err != nil {
		log.Fatal(err)
	}
	return base64.RawURLEncoding.EncodeToString(text)
}

package server_test

import (
	"context"
	"encoding/json"
	"slices"
	"strings"
	"testing"

	"github.com/lcp-tools/lcp/pkg/access"
	"github.com/lcp-tools/lcp/pkg/api"
	lcpclient "github.com/lcp-tools/lcp/pkg/client"
	"github.com/lcp-tools/lcp/pkg/records"
)

// A backOffice sets up providers.
type backOffice interface {
	Providers(ctx context.Context) ([]json.RawMessage, error)
	Provider(ctx context.Context, id string) (json.RawMessage, error)
	CreateProvider(ctx context.Context, document json.RawMessage) (json.RawMessage, error)
	UpdateProvider(ctx context.Context, id string, document json.RawMessage) (json.RawMessage, error)
	DeleteProvider(ctx context.Context, id string) error
	Secrets(ctx context.Context, provider string) ([]api.Secret, error)
	AddSecret(ctx context.Context, provider string, r api.SecretRequest) (api.Secret, error)
	MoveSecret(ctx context.Context, provider, keyID, state string) (api.Secret, error)
	Templates(ctx context.Context, provider string) ([]string, error)
	Template(ctx context.Context, provider, name string) (json.RawMessage, error)
	SaveTemplate(ctx context.Context, provider, name string, document json.RawMessage) error
	DeleteTemplate(ctx context.Context, provider, name string) error
}

// Commands do with a license server what they do with the local store.
func TestBackOffice(t *testing.T) {
	t.Parallel()
	for name, open := range map[string]func(*testing.T, *rig) backOffice{
		"license server": func(t *testing.T, r *rig) backOffice {
			t.Helper()
			c, err := lcpclient.New(lcpclient.Options{BaseURL: r.base, Credentials: lcpclient.Key(apiKeys[access.Admin])})
			if err != nil {
				t.Fatal(err)
			}
			return c
		},
		"local store": func(_ *testing.T, r *rig) backOffice {
			return &records.Local{Store: r.store, Licensing: r.options.Licensing, Now: r.clock.now}
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			testBackOffice(t, open(t, newRig(t)))
		})
	}
}

func testBackOffice(t *testing.T, o backOffice) {
	t.Helper()
	ctx := t.Context()
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	refuse := func(what, want string, err error) {
		t.Helper()
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", what, err, want)
		}
	}
	made, err := o.CreateProvider(ctx, json.RawMessage(`{"id":"shop","uri":"https://shop.example.org","name":"Shop"}`))
	must(err)
	same, err := o.Provider(ctx, "shop")
	must(err)
	if string(made) != string(same) || !strings.Contains(string(same), `"source":"database"`) {
		t.Errorf("made %s, got %s", made, same)
	}
	_, err = o.UpdateProvider(ctx, "shop", same)
	must(err)
	_, err = o.UpdateProvider(ctx, "shop", json.RawMessage(`{"uri":"urn:x:y"}`))
	refuse("another URI", "cannot be changed", err)
	_, err = o.UpdateProvider(ctx, "second", json.RawMessage(`{}`))
	refuse("a configured one", "in the configuration", err)
	_, err = o.CreateProvider(ctx, json.RawMessage(`{"id":"shop","uri":"urn:x:y"}`))
	refuse("taken", "already exists", err)
	_, err = o.Provider(ctx, "nobody")
	refuse("unknown", `unknown provider "nobody"`, err)

	secret, err := o.AddSecret(ctx, "shop", api.SecretRequest{KeyID: "k"})
	must(err)
	if len(secret.Value) != 64 {
		t.Errorf("value is %q", secret.Value)
	}
	_, err = o.AddSecret(ctx, "shop", api.SecretRequest{Value: "ab"})
	refuse("short", "value: has 1 byte", err)
	_, err = o.AddSecret(ctx, "nobody", api.SecretRequest{})
	refuse("secret of nobody", `unknown provider "nobody"`, err)
	_, err = o.MoveSecret(ctx, "shop", "k", "active")
	must(err)
	_, err = o.MoveSecret(ctx, "shop", "k", "verify-only")
	refuse("the only one", "activate its successor first", err)
	list, err := o.Secrets(ctx, "shop")
	if err != nil || len(list) != 1 || list[0].State != "active" || list[0].Value != "" || list[0].Activated == nil {
		t.Errorf("secrets are %v, %v", list, err)
	}

	must(o.SaveTemplate(ctx, "shop", "loan", json.RawMessage(`{"textHint":"x"}`)))
	refuse("bad template", "colour", o.SaveTemplate(ctx, "shop", "loan", json.RawMessage(`{"colour":1}`)))
	refuse("bad name", "name", o.SaveTemplate(ctx, "shop", "a b", json.RawMessage(`{}`)))
	names, err := o.Templates(ctx, "shop")
	if err != nil || !slices.Equal(names, []string{"loan"}) {
		t.Errorf("templates are %v, %v", names, err)
	}
	if text, err := o.Template(ctx, "shop", "loan"); err != nil || string(text) != `{"textHint":"x"}` {
		t.Errorf("template is %s, %v", text, err)
	}
	must(o.DeleteTemplate(ctx, "shop", "loan"))
	_, err = o.Template(ctx, "shop", "loan")
	refuse("deleted template", "not found", err)

	must(o.DeleteProvider(ctx, "shop"))
	refuse("deleted again", "shop", o.DeleteProvider(ctx, "shop"))
	refuse("a configured one", "in the configuration", o.DeleteProvider(ctx, "second"))
	if all, err := o.Providers(ctx); err != nil || len(all) != 2 {
		t.Errorf("there are %s, %v", all, err)
	}
}

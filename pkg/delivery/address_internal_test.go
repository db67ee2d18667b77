package delivery

import (
	"net/netip"
	"testing"
)

func TestPublic(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]bool{
		"93.184.215.14":          true,
		"1.1.1.1":                true,
		"172.32.0.1":             true,
		"2606:4700:4700::1111":   true,
		"64:ff9b::5db8:d70e":     true, // NAT64 of 93.184.215.14
		"2002:5db8:d70e::1":      true, // 6to4 of the same
		"0.0.0.0":                false,
		"0.1.2.3":                false,
		"10.0.0.1":               false,
		"100.64.0.1":             false,
		"127.0.0.1":              false,
		"127.255.255.254":        false,
		"169.254.169.254":        false, // metadata of clouds
		"172.16.0.1":             false,
		"172.31.255.255":         false,
		"192.0.0.8":              false,
		"192.0.2.1":              false,
		"192.168.1.1":            false,
		"198.18.0.1":             false,
		"198.51.100.1":           false,
		"203.0.113.1":            false,
		"224.0.0.1":              false,
		"240.0.0.1":              false,
		"255.255.255.255":        false,
		"::":                     false,
		"::1":                    false,
		"::127.0.0.1":            false, // IPv4-compatible
		"::ffff:127.0.0.1":       false, // IPv4-mapped
		"::ffff:10.0.0.1":        false,
		"::ffff:0.0.0.0":         false,
		"64:ff9b::7f00:1":        false, // NAT64 of 127.0.0.1
		"64:ff9b::a9fe:a9fe":     false, // NAT64 of 169.254.169.254
		"64:ff9b:1::1":           false, // NAT64 of a local network
		"100::1":                 false,
		"2001::1":                false, // Teredo
		"2001:db8::1":            false,
		"2002:7f00:1::":          false, // 6to4 of 127.0.0.1
		"2002:a00:1::":           false,
		"3fff::1":                false,
		"5f00::1":                false,
		"fc00::1":                false,
		"fd00:ec2::254":          false, // metadata of clouds
		"fe80::1":                false,
		"fe80::1%eth0":           false,
		"2606:4700:4700::1%eth0": false,
		"fec0::1":                false,
		"ff02::1":                false,
	} {
		if got := public(netip.MustParseAddr(text)); got != want {
			t.Errorf("public(%s) = %t", text, got)
		}
	}
}

func TestReach(t *testing.T) {
	t.Parallel()
	own := self{addrs: []netip.Addr{netip.MustParseAddr("127.0.0.1"), netip.MustParseAddr("93.184.215.14"), netip.MustParseAddr("10.0.0.5")}, ports: []uint16{8989}}
	internet := reach{}
	development := reach{loopback: true}
	office := reach{allow: prefixes("10.0.0.0/8", "fd00::/8")}
	here := reach{allow: prefixes("127.0.0.0/8", "0.0.0.0/8")}
	tests := map[string]struct {
		r    reach
		to   string
		want bool
	}{
		"the internet":                            {internet, "1.1.1.1:443", true},
		"a private network":                       {internet, "10.0.0.1:443", false},
		"a public address of this machine":        {internet, "93.184.215.14:443", false},
		"the same, mapped into IPv6":              {internet, "[::ffff:93.184.215.14]:443", false},
		"development, this machine":               {development, "127.0.0.1:8000", true},
		"development, this machine by IPv6":       {development, "[::1]:8000", true},
		"development, mapped into IPv6":           {development, "[::ffff:127.0.0.1]:8000", true},
		"development, this very server":           {development, "127.0.0.1:8989", false},
		"development, this very server by IPv6":   {development, "[::1]:8989", false},
		"development, this very server, mapped":   {development, "[::ffff:127.0.0.1]:8989", false},
		"development, elsewhere":                  {development, "1.1.1.1:80", false},
		"development, the private network":        {development, "10.0.0.1:80", false},
		"development, any address":                {development, "0.0.0.0:80", false},
		"what is allowed":                         {office, "10.9.9.9:443", true},
		"what is allowed, mapped into IPv6":       {office, "[::ffff:10.9.9.9]:443", true},
		"what is allowed in IPv6":                 {office, "[fd00::1]:443", true},
		"what is not":                             {office, "192.168.1.1:443", false},
		"allowed, and the internet still":         {office, "1.1.1.1:443", true},
		"allowed, another port of this machine":   {office, "10.0.0.5:443", true},
		"allowed, but this very server":           {office, "10.0.0.5:8989", false},
		"allowed, but this very server, loopback": {here, "127.0.0.1:8989", false},
		"allowed, but this very server, any":      {here, "0.0.0.0:8989", false},
	}
	for name, tt := range tests {
		if err := tt.r.check(netip.MustParseAddrPort(tt.to), own); (err == nil) != tt.want {
			t.Errorf("%s: %v", name, err)
		}
	}
	if internet.key() == office.key() || office.key() == here.key() || internet.key() == development.key() {
		t.Error("two reaches would share connections")
	}
}

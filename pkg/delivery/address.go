package delivery

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
)

// errAddress says that a callback may not go to an address.
var errAddress = errors.New("callback must not go there")

// A reach is where the callbacks of a provider may go beyond the public internet.
type reach struct {
	loopback bool           // nowhere but to this machine, over http, for development
	allow    []netip.Prefix // networks that are let through
}

// key tells reaches apart. Connections are shared only within one, or a
// provider could use one that another was allowed to open.
func (r reach) key() string {
	if r.loopback {
		return "loopback"
	}
	return fmt.Sprint(r.allow)
}

// check refuses addresses that a provider's service has no business on: those of
// this machine, of private networks, and of everything but single hosts on the
// public internet. own tells which addresses this machine has, and which ports
// this program listens on.
func (r reach) check(to netip.AddrPort, own self) error {
	addr := to.Addr().Unmap()
	if r.loopback && !addr.IsLoopback() {
		return fmt.Errorf("%w: %s is not a loopback address, and http is for nothing else", errAddress, addr)
	}
	if own.listens(addr, to.Port()) {
		return fmt.Errorf("%w: %s is this very server", errAddress, to)
	}
	if r.loopback || slices.ContainsFunc(r.allow, func(p netip.Prefix) bool { return p.Contains(addr) }) {
		return nil
	}
	switch {
	case !public(addr):
		return fmt.Errorf("%w: %s is not a public address", errAddress, addr)
	case own.has(addr):
		return fmt.Errorf("%w: %s is an address of this machine", errAddress, addr)
	}
	return nil
}

// A self is what this program knows of where it runs.
type self struct {
	addrs []netip.Addr // of the machine
	ports []uint16     // that the program listens on
}

func (s self) has(addr netip.Addr) bool { return slices.Contains(s.addrs, addr) }

func (s self) listens(addr netip.Addr, port uint16) bool {
	return slices.Contains(s.ports, port) && (addr.IsLoopback() || addr.IsUnspecified() || s.has(addr))
}

// interfaceAddrs returns the addresses of this machine.
func interfaceAddrs() ([]netip.Addr, error) {
	list, err := net.InterfaceAddrs()
	if err != nil {
		return nil, fmt.Errorf("list the addresses of this machine: %w", err)
	}
	var addrs []netip.Addr
	for _, a := range list {
		if p, err := netip.ParsePrefix(a.String()); err == nil {
			addrs = append(addrs, p.Addr().Unmap())
		}
	}
	return addrs, nil
}

// Networks of IPv6 that carry an IPv4 address, which is where a packet goes in
// the end.
var (
	nat64  = netip.MustParsePrefix("64:ff9b::/96") // RFC 6052
	sixTo4 = netip.MustParsePrefix("2002::/16")    // RFC 3056
)

// special lists what is not a single host on the public internet (IANA IPv4 and
// IPv6 Special-Purpose Address Registries), besides what net/netip knows.
var special = prefixes(
	"0.0.0.0/8", "100.64.0.0/10", "192.0.0.0/24", "192.0.2.0/24", "192.31.196.0/24", "192.52.193.0/24",
	"192.88.99.0/24", "192.175.48.0/24", "198.18.0.0/15", "198.51.100.0/24", "203.0.113.0/24", "240.0.0.0/4",
	"2001::/23", "2001:db8::/32", "2620:4f:8000::/48", "3fff::/20",
)

// globalUnicast is the part of IPv6 that is in use (RFC 4291 §2.4).
var globalUnicast = netip.MustParsePrefix("2000::/3")

func prefixes(texts ...string) []netip.Prefix {
	list := make([]netip.Prefix, len(texts))
	for i, text := range texts {
		list[i] = netip.MustParsePrefix(text)
	}
	return list
}

// public reports whether addr is that of one host on the public internet.
func public(addr netip.Addr) bool {
	addr = addr.Unmap()
	if addr.Zone() != "" || addr.IsPrivate() || addr.IsLoopback() || addr.IsMulticast() ||
		addr.IsLinkLocalUnicast() || addr.IsUnspecified() {
		return false
	}
	if addr.Is6() {
		b := addr.As16()
		switch {
		case nat64.Contains(addr):
			return public(netip.AddrFrom4([4]byte(b[12:])))
		case sixTo4.Contains(addr):
			return public(netip.AddrFrom4([4]byte(b[2:6])))
		case !globalUnicast.Contains(addr):
			return false
		}
	}
	return !slices.ContainsFunc(special, func(p netip.Prefix) bool { return p.Contains(addr) })
}

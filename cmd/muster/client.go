package main

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/viper"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"

	"github.com/muster-scim/muster/transport"
)

// addTransport gives a command that asks a running server over gRPC the flags of
// transportTo.
func addTransport(cmd *cobra.Command) {
	flags := cmd.Flags()
	flags.Bool("tls", false, "speak TLS with the server, though it is on loopback; elsewhere that is so anyway")
	addCA(cmd)
	flags.String("cert", "", "PEM file with a client certificate, instead of a token (or MUSTER_CERT)")
	flags.String("key", "", "PEM file with the private key of --cert (or MUSTER_KEY)")
	flags.Bool("plaintext", false, "speak plain text with a server that is not on loopback: the token can be read on the way")
}

// addCA gives a command the flag of who vouches for the server.
func addCA(cmd *cobra.Command) {
	cmd.Flags().String("ca", "", "PEM file with the certificates that the server's is verified by, instead of those that the system trusts (or MUSTER_CA)")
}

// transportTo is how to speak with the gRPC server at the address, as the flags say:
// in TLS, but in plain text with a server on loopback about which they say nothing. A
// token never goes to another machine in plain text without --plaintext.
func transportTo(v *viper.Viper, address string) (credentials.TransportCredentials, error) {
	ca, cert, key := v.GetString("ca"), v.GetString("cert"), v.GetString("key")
	secured := v.GetBool("tls") || ca != "" || cert != "" || key != ""
	switch {
	case v.GetBool("plaintext") && secured:
		return nil, errors.New("--plaintext goes with none of --tls, --ca, --cert and --key")
	case v.GetBool("plaintext"), !secured && isLocal(address):
		return insecure.NewCredentials(), nil
	}
	config, err := transport.Client(ca, cert, key)
	if err != nil {
		return nil, fmt.Errorf("TLS with %s: %w", address, err)
	}
	return credentials.NewTLS(config), nil
}

// isLocal tells whether an address of gRPC leads to this machine and never leaves it.
func isLocal(address string) bool {
	if strings.HasPrefix(address, "unix:") {
		return true
	}
	host, _, err := net.SplitHostPort(address[strings.LastIndexByte(address, '/')+1:]) // without dns:///
	if err != nil {
		return false
	}
	ip, err := netip.ParseAddr(host)
	return host == "" || host == "localhost" || err == nil && ip.IsLoopback()
}

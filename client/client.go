// Package client is for services that read users and groups from Muster and follow
// their changes: it connects, watches with automatic resumption, and keeps a local
// copy that answers lookups.
//
// The services of the contract are there as generated clients:
//
//	c, err := client.Dial(client.Options{Address: "muster.example.com:9090", Token: token})
//	out, err := c.Directory.LookupUser(ctx, &musterv1.LookupUserRequest{…})
package client

import (
	"context"
	"crypto/tls"
	"errors"
	"net/netip"
	"strings"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/backoff"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/keepalive"

	musterv1 "github.com/muster-scim/muster/gen/muster/v1"
)

// Options say where the server is and who is calling.
type Options struct {
	// Address is the gRPC address, such as muster.example.com:9090.
	Address string
	// Token is a bearer token. Empty: the client certificate in TLS is the credential.
	Token string
	// TLS is the configuration for TLS; nil: the roots that the system trusts. On a
	// loopback address nil means plain text.
	TLS *tls.Config
	// Plaintext sends the token unprotected to an address that is not loopback.
	Plaintext bool
}

// Client is a connection to Muster, or to several servers of one database behind one
// address. It may be used by many goroutines.
type Client struct {
	// Directory answers what services ask most.
	Directory musterv1.DirectoryServiceClient
	// Provisioning lists by SCIM filter, and writes as provisioning clients do.
	Provisioning musterv1.ProvisioningServiceClient
	// Changes is the change log; Watch is the easier way to follow it.
	Changes musterv1.ChangeServiceClient

	conn *grpc.ClientConn
}

// Dial makes a client. It connects when the first call is made, and again whenever the
// connection breaks.
func Dial(o Options) (*Client, error) {
	if o.Address == "" {
		return nil, errors.New("the options have no address")
	}
	plain := o.Plaintext || o.TLS == nil && isLoopback(o.Address)
	transport := credentials.NewTLS(o.TLS)
	if plain {
		transport = insecure.NewCredentials()
	}
	options := []grpc.DialOption{grpc.WithTransportCredentials(transport), grpc.WithConnectParams(reconnect), grpc.WithKeepaliveParams(alive)}
	if o.Token != "" {
		options = append(options, grpc.WithPerRPCCredentials(bearer{o.Token, !plain}))
	}
	conn, err := grpc.NewClient(o.Address, options...)
	if err != nil {
		return nil, err
	}
	return &Client{
		Directory:    musterv1.NewDirectoryServiceClient(conn),
		Provisioning: musterv1.NewProvisioningServiceClient(conn),
		Changes:      musterv1.NewChangeServiceClient(conn),
		conn:         conn,
	}, nil
}

// reconnect is how a connection that cannot be made is tried again. gRPC would wait up to
// two minutes, which is long for a service after its server is back.
var reconnect = grpc.ConnectParams{
	Backoff:           backoff.Config{BaseDelay: 200 * time.Millisecond, Multiplier: 1.6, Jitter: 0.2, MaxDelay: 10 * time.Second},
	MinConnectTimeout: 10 * time.Second,
}

// alive finds out that the other end is gone where nobody was left to say so: a stream
// would wait for ever.
var alive = keepalive.ClientParameters{Time: 30 * time.Second, Timeout: 10 * time.Second}

// Close ends the connection and the calls on it.
func (c *Client) Close() error { return c.conn.Close() }

func isLoopback(address string) bool {
	host := address
	if at := strings.LastIndexByte(address, ':'); at >= 0 {
		host = strings.Trim(address[:at], "[]")
	}
	ip, err := netip.ParseAddr(host)
	return host == "localhost" || err == nil && ip.IsLoopback()
}

// bearer shows a token with each call.
type bearer struct {
	token  string
	secure bool
}

func (b bearer) GetRequestMetadata(context.Context, ...string) (map[string]string, error) {
	return map[string]string{"authorization": "Bearer " + b.token}, nil
}

func (b bearer) RequireTransportSecurity() bool { return b.secure }

#!/bin/sh
# Certificates for the nodes of one cluster, so that they know each other (mutual TLS).
#
#   deploy/local/certs.sh DIRECTORY CLUSTER-ID NODE-ID...
#
# Makes an authority in DIRECTORY (ca.pem, ca.key) unless one is there, and for each node NODE-ID:
#   node-ID.pem   its private key and certificate, for ssl.keystore.location
# All nodes have ca.pem, for ssl.truststore.location. Keep ca.key away from the nodes.
#
# A certificate names its node and its cluster: URI:odradek://CLUSTER-ID/nodes/NODE-ID. The host
# does not matter, so a node may move. Set DAYS for another validity than 825 days. Needs openssl.
set -eu
umask 077

fail() {
  echo "certs.sh: $1" >&2
  exit 1
}

[ $# -ge 3 ] || fail "usage: certs.sh DIRECTORY CLUSTER-ID NODE-ID..."
directory=$1
cluster=$2
shift 2
days=${DAYS:-825}

command -v openssl >/dev/null 2>&1 || fail "openssl is not installed"
case $cluster in
  '' | *[!A-Za-z0-9_-]*) fail "'$cluster' is no cluster id: it has letters, digits, '-' and '_'" ;;
esac
for node in "$@"; do
  case $node in
    '' | *[!0-9]*) fail "'$node' is no node id: it is a number" ;;
  esac
done
mkdir -p "$directory"

new_key() {
  openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256 -out "$1" 2>/dev/null ||
    fail "openssl could not make $1"
}

if [ ! -e "$directory/ca.key" ]; then
  new_key "$directory/ca.key"
  openssl req -x509 -new -key "$directory/ca.key" -sha256 -days 7300 \
    -subj "/O=Odradek/CN=cluster $cluster" \
    -addext 'basicConstraints=critical,CA:TRUE' -addext 'keyUsage=critical,keyCertSign,cRLSign' \
    -out "$directory/ca.pem" || fail "openssl could not make $directory/ca.pem"
fi

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
for node in "$@"; do
  new_key "$work/key.pem"
  openssl req -new -key "$work/key.pem" -subj "/O=Odradek/CN=node $node" -out "$work/request.pem"
  cat >"$work/extensions" <<EXTENSIONS
basicConstraints=critical,CA:FALSE
keyUsage=critical,digitalSignature
extendedKeyUsage=serverAuth,clientAuth
subjectAltName=URI:odradek://$cluster/nodes/$node
EXTENSIONS
  openssl x509 -req -in "$work/request.pem" -CA "$directory/ca.pem" -CAkey "$directory/ca.key" \
    -CAcreateserial -CAserial "$work/serial" -sha256 -days "$days" \
    -extfile "$work/extensions" -out "$work/certificate.pem" 2>/dev/null ||
    fail "openssl could not sign the certificate of node $node"
  cat "$work/key.pem" "$work/certificate.pem" >"$work/node.pem"
  mv "$work/node.pem" "$directory/node-$node.pem"
  echo "$directory/node-$node.pem"
done
chmod 644 "$directory/ca.pem"

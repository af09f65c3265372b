#!/bin/sh
# The tokens of docker-compose.yml, made at its first start: the server's file of hashes, and for each who shows a token a
# folder with that one token. A start that finds them leaves them as they are.
set -eu
umask 027

make_token() { # principal, role
  folder=/run/tclif/$1
  if [ -s "$folder/token" ]; then
    echo "$1: there is a token already"
    return
  fi
  tclif-admin token new "$1" --role "$2" >"$folder/token.new"
  mv "$folder/token.new" "$folder/token"
  echo "$1: made a token of the role $2"
}

make_token replay client
make_token prometheus metrics

"""The health check of the images: exit code 0 if the server in this container can open sessions."""

import http.client
import os
import ssl
import sys

port = int(os.environ.get("TCLIF_LISTENER__PORT", "8700"))
# the one name that a server always answers to, whatever its list of allowed hosts
host = os.environ.get("TCLIF_LISTENER__HOST", "127.0.0.1")
host = f"[{host}]" if ":" in host else host
if os.environ.get("TCLIF_LISTENER__CERTIFICATE_FILE"):
    # the certificate names the server's public address, not the loopback that is asked here
    trusting = ssl._create_unverified_context()
    connection = http.client.HTTPSConnection("127.0.0.1", port, timeout=4, context=trusting)
else:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=4)
try:
    connection.request("GET", "/health/ready", headers={"Host": host})
    status = connection.getresponse().status
except OSError as error:
    sys.exit(f"no answer: {error}")
sys.exit(0 if status == http.HTTPStatus.OK else f"answered {status}, 200 was expected")

#!/bin/sh
# Run once by the PostgreSQL image, on an empty volume: a database and a user of its own for Orthanc's
# index and for the ledger. Neither may look into the other, and neither is the superuser.
set -eu
: "${ORTHANC_DATABASE_PASSWORD:?}" "${CBIR_DATABASE_PASSWORD:?}"

for name in orthanc cbir; do
    case $name in
    orthanc) password=$ORTHANC_DATABASE_PASSWORD ;;
    cbir) password=$CBIR_DATABASE_PASSWORD ;;
    esac
    # The password goes through the environment of psql, not through its arguments, which `ps` shows.
    NAME=$name PASSWORD=$password psql --no-psqlrc --quiet --set ON_ERROR_STOP=1 \
        --username "$POSTGRES_USER" --dbname postgres <<'SQL'
\getenv name NAME
\getenv password PASSWORD
CREATE ROLE :"name" LOGIN PASSWORD :'password';
CREATE DATABASE :"name" OWNER :"name" ENCODING 'UTF8' TEMPLATE template0;
REVOKE CONNECT, TEMPORARY ON DATABASE :"name" FROM PUBLIC;
SQL
done

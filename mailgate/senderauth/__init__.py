"""Who a message really comes from: SPF, DKIM, DMARC, ARC, iprev and what is written of them."""

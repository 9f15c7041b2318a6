package admin

import "crypto/tls"

const CertificateAge = certificateAge

// LoadCertificate gives what a server asks for its certificate.
func LoadCertificate(certFile, keyFile string) (func(*tls.ClientHelloInfo) (*tls.Certificate, error), error) {
	c, err := loadCertificate(certFile, keyFile)
	return c.get, err
}

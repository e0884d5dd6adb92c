"""What a bulk operator does otherwise for each of the two generations of Twilio's API."""

"""The two generations of Twilio's API, as a bulk operator sends through them: an object for each."""

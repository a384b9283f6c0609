curl -X POST https://vicsee.com/api/v1/generate \
  -H "Authorization: Bearer YOUR_API_KEY" \
  -H "Content-Type: application/json" \
  -d '{
    "model": "topaz-video-upscale",
    "input": {
      "video_url": "https://example.com/clip.mp4",
      "upscale_factor": "2"
    }
  }'

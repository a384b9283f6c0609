import requests

response = requests.post(
    "https://api.venice.ai/api/v1/video/queue",
    headers={"Authorization": "Bearer YOUR_API_KEY"},
    json={
        "model": "topaz-video-upscale",
        "video_url": "https://example.com/input-video.mp4",
        "upscale_factor": 2,
    },
)

data = response.json()
queue_id = data["queue_id"]
print(f"Queued: {queue_id}")
